"""What was understood of data, as text."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from kscale.text import plain_text, printable
from kscale.units import format_bytes

_MOST_ROWS = 20
_LAST_ROWS = 6  # of them, where there are more: the rarest classes

Described = Mapping[str, Any]


def dataset_text(described: Described, width: int = 110) -> str:
    """What `Dataset.describe` gives, as text.

    Args:
        described: That, with `families` if they are known.
        width: Characters of a line.
    """
    parts = [plain_text(Text(line), width) for line in _head(described)]
    parts += [_target(target, width) for target in described["targets"]]
    parts += [plain_text(Text(line), width) for line in _foot(described)]
    return "".join(parts)


def _head(described: Described) -> Iterator[str]:
    size = format_bytes(described["memory"]["bytes"])
    held = "streamed from disk" if described["memory"]["streamed"] else "in memory"
    name = printable(described["name"])
    yield f"{name}: {described['examples']:,} examples, {size} {held}"
    for item in described["inputs"]:
        yield f"Input {printable(item['name'])}: {_input(item)}"
    shown = ", ".join(
        f"{name} {part['examples']:,}" for name, part in described["parts"].items()
    )
    yield f"Parts: {shown}; {_origin(described)}"


def _input(item: Described) -> str:
    shape = " x ".join(f"{side:,}" for side in item["shape"])
    ids = f" of {item['vocabulary']:,} ids" if item["vocabulary"] else ""
    raw = item["raw"]
    others = [each for each in raw if each["name"] != item["name"]]
    read = ", ".join(printable(each["name"]) for each in raw[:_MOST_ROWS])
    more = f" and {len(raw) - _MOST_ROWS} more" if len(raw) > _MOST_ROWS else ""
    origin = f", from {read}{more}" if others else ""
    return f"{item['kind']} {shape}{ids} ({item['preprocessing']}){origin}"


def _origin(described: Described) -> str:
    cut = [name for name, part in described["parts"].items() if part["cut"]]
    if not cut:
        return "as they were given"
    how = "with the same share of each class or range"
    if described["cut_by"]:
        how = f"in whole groups of {printable(described['cut_by'])}"
    return f"{' and '.join(cut)} cut from the training examples, {how}"


def _target(target: Described, width: int) -> str:
    name = printable(target["name"])
    if target["kind"] == "real":
        values = target["values"]
        what = "1 real value" if len(values) == 1 else f"{len(values)} real values"
        table = _table(["value", "least", "mean", "most"], _real_rows(values))
    else:
        what = f"{len(target['classes'])} classes"
        parts = [part for part in target["classes"][0] if part != "name"]
        rows = _class_rows(target["classes"], parts)
        table = _table(["class", *parts], rows)
    heading = plain_text(Text(f"Target {name}: {what}"), width)
    indented = "".join(
        f"  {line}\n" for line in plain_text(table, width - 2).splitlines()
    )
    baseline = plain_text(Text(_baseline(target)), width)
    return heading + indented + baseline


def _class_rows(classes: Sequence[Described], parts: list[str]) -> Iterator[list[str]]:
    """All classes, or the most frequent and the rarest ones."""
    shown, left_out = list(classes), 0
    if len(classes) > _MOST_ROWS:
        ordered = sorted(classes, key=lambda row: -row["train"])
        first, left_out = _MOST_ROWS - _LAST_ROWS - 1, len(classes) - _MOST_ROWS + 1
        shown = [*ordered[:first], *ordered[-_LAST_ROWS:]]
    for place, row in enumerate(shown):
        if left_out and place == _MOST_ROWS - _LAST_ROWS - 1:
            yield [f"... {left_out:,} more", *("" for _ in parts)]
        yield [printable(row["name"]), *(f"{row[part]:,}" for part in parts)]


def _real_rows(values: Sequence[Described]) -> Iterator[list[str]]:
    for place, row in enumerate(values[:_MOST_ROWS]):
        yield [str(place), *(f"{number:.6g}" for number in row.values())]


def _table(header: Sequence[str], rows: Iterator[list[str]]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for place, name in enumerate(header):
        table.add_column(Text(name), justify="right" if place else "left", no_wrap=True)
    for row in rows:
        table.add_row(*map(Text, row))
    return table


def _baseline(target: Described) -> str:
    found = target["baseline"]
    if target["kind"] == "real":
        return (
            f"Always its mean: root mean squared error {found['validation']:.4g} on "
            f"validation, {found['test']:.4g} on test"
        )
    return (
        f"Always {printable(found['answer'])!r}: accuracy "
        f"{100 * found['validation']:.1f} % on validation, "
        f"{100 * found['test']:.1f} % on test"
    )


def _foot(described: Described) -> Iterator[str]:
    if described.get("families"):
        yield f"Family auto: {', '.join(described['families'])}"
    for note in described["notes"]:
        yield f"Note: {printable(note)}"
    for warning in described["warnings"]:
        yield f"Warning: {printable(warning)}"
