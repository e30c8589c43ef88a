"""The user's present model in a report: which row is smaller or better."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from kscale.reports.bits_section import bits_sentences
from kscale.reports.cells import answer_lines, name_of, row_text
from kscale.reports.evidence import (
    Contrast,
    beside_text,
    comparison_lines,
    contrast,
    verdict_lines,
    where_text,
)
from kscale.reports.report import Report, Row
from kscale.runs.entries import best_of
from kscale.runs.records import PRESENT, RETRAINED
from kscale.text import printable

_LEAST_OF_SIZE, _MOST_OF_SIZE = 0.5, 1.1  # of the present model's parameters


@dataclass(frozen=True)
class PresentComparison:
    """A row beside the present model.

    Args:
        params, flops: How many times those of the row the present model has; None
            where either has none, or not all of them are known.
        beside: The scores of both, on the test part where both were tested.
        is_doubted: Whether the present model can probably do better than its scores.
    """

    params: float | None
    flops: float | None
    beside: Contrast
    is_doubted: bool

    @property
    def row(self) -> Row:
        """The row that is compared."""
        return self.beside.row

    @property
    def is_better(self) -> bool:
        """Whether the row is clearly better, on the test part where that is known."""
        return self.beside.is_better and not self.is_doubted


def _row_of(report: Report, family: str) -> Row | None:
    return next((row for row in report.rows if row.family == family), None)


def compared(report: Report, row: Row | None) -> PresentComparison | None:
    """A row beside the present model; None without either."""
    present = _row_of(report, PRESENT)
    if present is None or row is None:
        return None
    is_known = not (report.present.get("unknown_flops") or row.unknown_flops)
    return PresentComparison(
        _times(present.params, row.params),
        _times(present.flops, row.flops) if is_known else None,
        contrast(report, row, present),
        bool(report.present.get("doubt")),
    )


def _times(present: int, other: int) -> float | None:
    return present / other if present and other else None


def best_of_that_size(report: Report, least: float = 0.0) -> Row | None:
    """The best row of the search that is at most a tenth larger than the present model,
    and has at least some share of its parameters.

    As for the best row of all, only finalists count where one of them is.
    """
    present = _row_of(report, PRESENT)
    rows = [
        row
        for row in report.rows
        if present is not None
        and least <= row.params / max(present.params, 1) <= _MOST_OF_SIZE
        and row.is_full
        and not row.is_reference
        and not row.over_budget
    ]
    return best_of(rows, report.objective)


def sentences_of(report: Report) -> list[tuple[str, str]]:
    """Sentences on the answers and on the present model, each with its name."""
    return [
        *verdict_lines(report),
        *answer_lines(report),
        *bits_sentences(report),
        *comparison_lines(report),
        *present_lines(report),
    ]


def present_lines(report: Report) -> Iterator[tuple[str, str]]:
    """Sentences on the present model, each with its name; none without one."""
    present = _row_of(report, PRESENT)
    if present is None:
        return
    name = printable(report.present.get("name", PRESENT))
    yield "present model", f"{name}: {row_text(report, present)}"
    doubt = report.present.get("doubt")
    if doubt:
        yield "not compared", printable(doubt)
    retrained = compared(report, _row_of(report, RETRAINED))
    if retrained is not None:
        text = f"{row_text(report, retrained.row)}{_and_gain(report, retrained)}"
        yield "present model, trained anew", text
    best = compared(report, report.best)
    recommended = compared(report, report.recommended)
    if recommended is not None and not doubt:
        yield _label(recommended), f"{_difference(report, recommended)} (recommended)"
        if best and best.beside.is_paired and report.best is not report.recommended:
            yield "best against it", _difference(report, best)
    yield "what your size could reach", _reach(report, present)


def _label(item: PresentComparison) -> str:
    """A name that says "smaller" and "better" only where that is clear."""
    if item.params is None or item.params <= 1:
        return "against it"
    return "smaller and better by" if item.is_better else "smaller by"


def _difference(report: Report, item: PresentComparison) -> str:
    sizes = (_size_text(item.params, "params"), _size_text(item.flops, "FLOPs"))
    return ", ".join([*filter(None, sizes), _gain_text(report, item)])


def _size_text(times: float | None, what: str) -> str:
    if times is None:
        return ""
    if f"{times:.3g}" == "1":
        return f"as many {what}"
    if times > 1:
        return f"{times:.3g} times fewer {what}"
    return f"{1 / times:.3g} times more {what}"


def _and_gain(report: Report, item: PresentComparison) -> str:
    return "" if item.is_doubted else f", {_gain_text(report, item)}"


def _gain_text(report: Report, item: PresentComparison) -> str:
    return f"{beside_text(report, item.beside)} {where_text(item.beside)}"


def _reach(report: Report, present: Row) -> str:
    """What a network of the present model's size could reach."""
    looks = f" `kscale tune --max-params {present.params}` looks there."
    found = compared(report, best_of_that_size(report))
    if found is None:
        return f"not known: nothing of at most its size was trained.{looks}"
    text = f"{name_of(found.row)}: {row_text(report, found.row, tested=False)}"
    text += _and_gain(report, found)
    is_near = best_of_that_size(report, _LEAST_OF_SIZE) is not None
    if is_near:
        return text
    return f"{text}. Nothing of half its size to a tenth more was trained.{looks}"


def present_json(report: Report) -> dict[str, Any] | None:
    """The present model as plain data; None without one."""
    present = _row_of(report, PRESENT)
    if present is None:
        return None
    texts = {"name": PRESENT, "fed": "", "outputs": "", "doubt": ""}
    beside = {
        "retrained": _row_of(report, RETRAINED),
        "recommended": report.recommended,
        "best": report.best,
        "same_size": best_of_that_size(report),
    }
    return {
        **{name: str(report.present.get(name, text)) for name, text in texts.items()},
        "params": present.params,
        "flops": _known_flops(present),
        "unknown_flops": present.unknown_flops,
        "score": present.score,
        "stderr": present.stderr,
        "test_score": present.test_score,
        "over_budget": present.over_budget,
        **{n: _json(report, compared(report, row)) for n, row in beside.items()},
    }


def _known_flops(row: Row) -> int | None:
    """FLOPs of the layers that can be counted; None where none can."""
    return row.flops if row.flops or not row.unknown_flops else None


def _json(report: Report, item: PresentComparison | None) -> dict[str, Any] | None:
    """A comparison as plain data; `gain` is of scores on the validation part."""
    if item is None:
        return None
    present, pair = item.beside.other, item.beside if item.beside.is_paired else None
    return {
        "family": item.row.family,
        "knobs": item.row.knobs,
        "params": item.row.params,
        "flops": _known_flops(item.row),
        "score": item.row.score,
        "times_fewer_params": item.params,
        "times_fewer_flops": item.flops,
        "gain": report.objective.gain(item.row.score, present.score),
        "gain_stderr": math.hypot(item.row.stderr, present.stderr),
        "test_gain": pair.gain if pair else None,
        "test_gain_stderr": pair.stderr if pair else None,
        "is_better": item.is_better,
    }
