"""Facts of a data set and their text, to be read before anything is trained."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.padding import Padding
from rich.text import Text

from kscale.data.example_rows import Rows
from kscale.data.parts import Part, PartName
from kscale.data.preprocessing.base import Preprocessing
from kscale.data.preprocessing.subwords import Subwords
from kscale.task.heads import HEADS
from kscale.task.objectives import metric_name
from kscale.task.tasks import Input, Target, Task
from kscale.task.tokens import SPACE, UNKNOWN
from kscale.task.transcripts import BLANK
from kscale.text import Grid, counted, grid_table, listed, plain_text, printable
from kscale.units import format_bytes

Parts = Mapping[PartName, Part]
Described = Mapping[str, Any]

_SCORED: tuple[PartName, ...] = ("validation", "test")
_UNBALANCED = 4  # times as many examples of one class as of another
_FEW = 20  # training examples of a class
_FEW_SCORED = 500  # examples that a score is computed on
_MOST_ROWS = 20
_MOST_SHOWN = 200  # characters of an example
_LAST_ROWS = 6  # of them, where there are more: the rarest classes


def input_facts(
    item: Input, preprocessing: Preprocessing, parts: Parts
) -> dict[str, Any]:
    """An input of the network, and its raw inputs; for sub-words, by part, their number
    in a text and the share of unknown ones."""
    rows = parts.items() if isinstance(preprocessing, Subwords) else ()
    tokens = {name: _token_facts(part.inputs[item.name]) for name, part in rows}
    return {
        "name": item.name,
        "kind": item.kind,
        "shape": list(item.shape),
        "vocabulary": item.vocabulary or None,
        "preprocessing": preprocessing.kind,
        "raw": [
            {"name": raw.name, "shape": list(raw.shape), "type": raw.dtype}
            for raw in preprocessing.raw_inputs
        ],
        **({"tokens": tokens} if tokens else {}),
    }


def _token_facts(rows: Rows) -> dict[str, float]:
    ids = rows[:]
    count = np.count_nonzero(ids)
    unknown = np.count_nonzero(ids == UNKNOWN) / count
    return {"of_a_text": count / len(ids), "unknown": unknown}


def target_facts(target: Target, parts: Parts) -> dict[str, Any]:
    """Classes or values of a target, and what a constant answer scores."""
    head = target.head
    known = {name: part.targets[target.name] for name, part in parts.items()}
    constant = head.constant(known["train"], target.outputs, head.metric)
    answer = None if head.is_sequence else head.answer(constant, target.class_names)
    score = head.objectives[head.metric].compute
    return {
        "name": target.name,
        "kind": target.kind,
        head.nouns[1]: [*_output_facts(target, known)],
        "baseline": {
            "answer": answer,
            "metric": head.metric,
            **{
                part: score(known[part], head.baseline(target, constant, known[part]))
                for part in _SCORED
            },
        },
    }


def _output_facts(
    target: Target, known: Mapping[PartName, NDArray[Any]]
) -> Iterator[dict[str, Any]]:
    """Of each output, how often it is right in each part, or the range of values."""
    count = target.head.counts
    if count is None:
        values = known["train"].astype(float)
        ends = (values.min(axis=0), values.mean(axis=0), values.max(axis=0))
        for row in np.stack(ends, axis=1).tolist():
            yield dict(zip(("least", "mean", "most"), row, strict=True))
        return
    counts = {part: count(labels, target.outputs) for part, labels in known.items()}
    for place, name in enumerate(target.class_names):
        if target.head.is_framed and place == BLANK:
            continue
        yield {"name": name} | {p: int(each[place]) for p, each in counts.items()}


def cautions(task: Task, parts: Parts) -> Iterator[str]:
    """A sentence for each reason to trust scores less."""
    for target in task.targets:
        counts_of = target.head.counts
        if counts_of and not target.head.is_sequence:
            labels = parts["train"].targets[target.name]
            yield from _count_cautions(target, counts_of(labels, target.outputs))
    name = min(_SCORED, key=lambda part: len(parts[part]))
    count = len(parts[name])
    if count < _FEW_SCORED:
        # Of a share p: sqrt(p (1 - p) / n); of a root mean square: 1 / sqrt(2 n).
        head = task.targets[0].head
        error = f": an accuracy of 90 % by {100 * math.sqrt(0.09 / count):.1f} points"
        if not head.is_named:
            error = f": an error by about {100 / math.sqrt(2 * count):.0f} %"
        how = "" if head.is_sequence else f"{error} (one standard error)"
        yield (
            f"The {name} part has {counted(count, 'example')}, so scores on it are "
            f"uncertain{how}."
        )


def _count_cautions(target: Target, counts: NDArray[np.int64]) -> Iterator[str]:
    most, least = int(counts.argmax()), int(counts.argmin())
    names = target.class_names
    if target.head.is_exclusive and counts[most] >= _UNBALANCED * counts[least]:
        yield (
            f"The classes of {target.name} are unbalanced: {counts[most]:,} training "
            f"examples of {names[most]!r}, {counts[least]:,} of {names[least]!r}. "
            "Accuracy may say little; --objective f1 counts every class alike."
        )
    few = int((counts < _FEW).sum())
    if few:
        yield (
            f"{target.head.count_text(few)} of {target.name} "
            f"{'has' if few == 1 else 'have'} fewer than {_FEW} training examples; "
            f"the fewest, {names[least]!r}, {counts[least]}."
        )


def dataset_text(described: Described, width: int = 110) -> str:
    """What `Dataset.describe` gives, perhaps with `families`, as text."""
    return "".join(
        plain_text(Text(each) if isinstance(each, str) else each, width)
        for each in _blocks(described)
    )


def _blocks(described: Described) -> Iterator[str | Padding]:
    size = format_bytes(described["memory"]["bytes"])
    held = "streamed from disk" if described["memory"]["streamed"] else "in memory"
    name = printable(described["name"])
    yield f"{name}: {counted(described['examples'], 'example')}, {size} {held}"
    for item in described["inputs"]:
        yield f"Input {printable(item['name'])}: {_input(item)}"
    parts = described["parts"].items()
    shown = ", ".join(f"{part} {about['examples']:,}" for part, about in parts)
    yield f"Parts: {shown}; {_origin(described)}"
    for target in described["targets"]:
        yield from _target(target)
    if example := described.get("example"):
        yield f"Example: {' -> '.join(map(_shortened, example.values()))}"
    if described.get("families"):
        yield f"Family auto: {', '.join(described['families'])}"
    for word, key in (("Note", "notes"), ("Warning", "warnings")):
        sentences = described[key]
        yield from (f"{word}: {printable(each)}" for each in sentences[:_MOST_ROWS])
        if more := sentences[_MOST_ROWS:]:
            yield f"{word}: {counted(len(more), 'further sentence')}; --json has all."


def _shortened(text: str) -> str:
    plain = printable(text.removesuffix(SPACE))
    return plain if len(plain) <= _MOST_SHOWN else f"{plain[:_MOST_SHOWN]}..."


def _input(item: Described) -> str:
    shape = " x ".join(f"{side:,}" for side in item["shape"])
    ids = f" of {item['vocabulary']:,} ids" if item["vocabulary"] else ""
    raw = [printable(each["name"]) for each in item["raw"]]
    is_made = any(each["name"] != item["name"] for each in item["raw"])
    origin = f", from {listed(raw, _MOST_ROWS)}" if is_made else ""
    tokens = ""
    if by_part := item.get("tokens"):
        tokens = (
            f"; {by_part['train']['of_a_text']:.1f} on average, "
            f"{100 * by_part['test']['unknown']:.2g} % unknown on test"
        )
    return f"{item['kind']} {shape}{ids} ({item['preprocessing']}){origin}{tokens}"


def _origin(described: Described) -> str:
    cut = [name for name, part in described["parts"].items() if part["cut"]]
    if not cut:
        return "as they were given"
    heads = [HEADS[target["kind"]] for target in described["targets"]]
    named = [head for head in heads if head.is_named] or heads[:1]
    strata = dict.fromkeys(head.stratum for head in named)
    how = f"with the same share of each {' or '.join(strata)}"
    if described["cut_by"]:
        by = printable(described["cut_by"])
        how = f"in whole groups of {by[0].lower()}{by[1:]}"
    return f"{' and '.join(cut)} cut from the training examples, {how}"


def _target(target: Described) -> Iterator[str | Padding]:
    name, head = printable(target["name"]), HEADS[target["kind"]]
    one, many = head.nouns
    outputs = target[many]
    _, *others = outputs[0] if head.is_named else [one, *outputs[0]]
    if head.is_named:
        rows = _class_rows(outputs, others)
    else:
        facts = enumerate(outputs[:_MOST_ROWS])
        rows = [[str(n), *(f"{row[key]:.6g}" for key in others)] for n, row in facts]
    title = head.title if len(outputs) > 1 else head.title[:-1]
    count = f"{len(outputs):,} {title}"
    if head.is_sequence:
        different = counted(len(outputs), f"different {one}", f"different {many}")
        count = f"{head.title}; {different}"
    yield f"Target {name}: {count}"
    grid = Grid([one, *others], [False] + [True] * len(others), rows)
    yield Padding(grid_table(grid), (0, 0, 0, 2))
    yield _baseline(target)


def _class_rows(classes: Sequence[Described], parts: list[str]) -> list[list[str]]:
    """All classes, or the most frequent and the rarest ones."""
    are_many = len(classes) > _MOST_ROWS
    ordered = sorted(classes, key=lambda row: -row["train"] * are_many)
    rows = [[_name(r["name"]), *(f"{r[part]:,}" for part in parts)] for r in ordered]
    if are_many:
        dots = [f"... {len(rows) - _MOST_ROWS + 1:,} more", *("" for _ in parts)]
        rows[_MOST_ROWS - _LAST_ROWS - 1 : -_LAST_ROWS] = [dots]
    return rows


def _name(name: str) -> str:
    return repr(name) if name.isspace() else printable(name)


def _baseline(target: Described) -> str:
    found, head = target["baseline"], HEADS[target["kind"]]
    answer = head.constant_words if head.is_sequence else "its mean"
    if found["answer"] is not None and head.is_named:
        names = [found["answer"]] if head.is_exclusive else found["answer"]
        quoted = [repr(printable(name)) for name in names]
        answer = " and ".join(quoted) or f"no {head.nouns[0]}"
        if len(target[head.nouns[1]]) == len(names):
            answer = f"every {head.nouns[0]}"
    metric = head.objectives[found["metric"]]
    shown = [
        f"{100 * found[part]:.1f} %" if metric.is_share else f"{found[part]:.4g}"
        for part in _SCORED
    ]
    return (
        f"Always {answer}: {metric_name(metric)} {shown[0]} on validation, "
        f"{shown[1]} on test"
    )
