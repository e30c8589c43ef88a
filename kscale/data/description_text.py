"""The description of a data set as text."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.text import Text

from kscale.task.heads import HEADS
from kscale.task.objectives import metric_name
from kscale.text import Grid, grid_table, plain_text, printable
from kscale.units import format_bytes

_MOST_ROWS = 20
_LAST_ROWS = 6  # of them, where there are more: the rarest classes

Described = Mapping[str, Any]


def dataset_text(described: Described, width: int = 110) -> str:
    """What `Dataset.describe` gives, perhaps with `families`, as text."""
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
    name, head = printable(target["name"]), HEADS[target["kind"]]
    one, many = head.nouns
    outputs = target[many]
    if head.is_named:
        parts = [part for part in outputs[0] if part != "name"]
        header, rows = [one, *parts], _class_rows(outputs, parts)
    else:
        header, rows = [one, "least", "mean", "most"], _real_rows(outputs)
    are_numbers = [place > 0 for place in range(len(header))]
    table = grid_table(Grid(header, are_numbers, [*rows]))
    what = f"{len(outputs)} {head.title if len(outputs) > 1 else head.title[:-1]}"
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


def _baseline(target: Described) -> str:
    found, head = target["baseline"], HEADS[target["kind"]]
    answer = "its mean"
    if head.is_named:
        names = [found["answer"]] if head.is_exclusive else found["answer"]
        quoted = [repr(printable(name)) for name in names]
        answer = " and ".join(quoted) or f"no {head.nouns[0]}"
    metric = head.objectives[found["metric"]]
    shown = [
        f"{100 * found[part]:.1f} %" if metric.is_share else f"{found[part]:.4g}"
        for part in ("validation", "test")
    ]
    return (
        f"Always {answer}: {metric_name(metric)} {shown[0]} on validation, "
        f"{shown[1]} on test"
    )


def _foot(described: Described) -> Iterator[str]:
    if described.get("families"):
        yield f"Family auto: {', '.join(described['families'])}"
    for note in described["notes"]:
        yield f"Note: {printable(note)}"
    for warning in described["warnings"]:
        yield f"Warning: {printable(warning)}"
