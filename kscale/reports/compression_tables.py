"""Tables of compressed networks: what each method made of a trained network."""

import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Group
from rich.text import Text

from kscale.runs.compressions import PLAIN, Compressed, Compressions, Difference
from kscale.runs.records import Compression
from kscale.ship.compressing.contract import Method
from kscale.ship.compressing.methods import METHODS
from kscale.task.objectives import Objective, metric_name
from kscale.text import Grid, grid_table, plain_text, printable
from kscale.units import format_bytes, format_count

TITLE = "Compressed"

_CHOSEN = "*"
_ZEROS = 0.8  # of the gzip of float32, in a file that is as large
_SLOW = 1.5  # times the latency of float32
_LEGEND = (
    "difference: to float32 on the same examples, above 0 is better; same: share of "
    "answers that are those of float32; ms: median of one example on one thread, of "
    "which differences below 50 % are noise"
)


@dataclass(frozen=True)
class CompressionTable:
    """What methods made of a trained network, and where the files are.

    Args:
        found: The methods.
        folder: Folder of the files.
        copies: Folder that files of the methods asked for and the chosen baseline were
            copied to.
    """

    found: Compressions
    folder: Path
    copies: Path | None = None

    def worked(self, methods: Collection[str]) -> bool:
        """Whether one of these methods worked; without any, of all but float32."""
        made = {row.method for row in self.found.others}
        return bool({PLAIN, *made} & {*methods} if methods else made)

    def to_json(self) -> dict[str, Any]:
        """Plain data, with raw numbers and stable keys."""
        copies = None if self.copies is None else str(self.copies)
        folders = {"folder": str(self.folder), "copies": copies}
        return {**folders, **compressions_json(self.found)}

    def to_text(self, width: int = 110) -> str:
        """The table with what to know of it."""
        copies = "" if self.copies is None else f"; asked or chosen: {self.copies}"
        lines = [*compression_lines(self.found), f"Files: {self.folder}{copies}"]
        title = Text(f"{self.found.plain.best.spec.label}, compressed:")
        table = grid_table(compression_grid(self.found))
        return plain_text(Group(title, table, Text("\n".join(lines))), width)

    def __str__(self) -> str:
        return self.to_text()


def compression_grid(found: Compressions) -> Grid:
    """A row for each method; the chosen one is marked."""
    objective = found.objective
    unit = " %" if objective.is_share else ""
    header = [
        "",
        "method",
        "params",
        "bytes",
        "gzip",
        f"{metric_name(objective)}{unit}",
    ]
    header += ["difference", "same %", "ms"]
    rows = [
        [
            _CHOSEN * (row is found.chosen),
            row.method,
            format_count(row.best.params),
            format_bytes(row.best.bytes),
            format_bytes(row.best.gzip_bytes or 0),
            with_error(objective, row.score, row.stderr),
            ""
            if row is found.plain
            else signed_difference(objective, found.difference(row)),
            "" if row.best.agreement is None else f"{100 * row.best.agreement:.2f}",
            "" if row.best.latency_ms is None else f"{row.best.latency_ms:.3g}",
        ]
        for row in found.rows
    ]
    rows += [["", each.method, *[""] * 3, "failed", *[""] * 3] for each in found.failed]
    return Grid(header, [False, False, *[True] * 7], rows)


def compression_lines(found: Compressions) -> Iterator[str]:
    """Which file to take, and meanings."""
    plain = found.plain
    yield f"{_CHOSEN} {found.chosen.method}: {_choice_text(found)}"
    yield from _chosen_lines(found)
    if (text := _test_text(found)) is not None:
        yield text
    for record in found.failed:
        yield f"{record.method} failed: {printable(record.reason)}"
    seeds = {row.seeds for row in found.rows if _trains(row.method)}
    if max(seeds, default=1) > 1:
        numbers = " to ".join(map(str, sorted({min(seeds), max(seeds)})))
        yield f"scores of methods that train are means over {numbers} seeds"
    if any(_is_of_zeros(row, plain) for row in found.others):
        yield "zeros make the gzip smaller, and neither the file in memory nor the time"
    yield _LEGEND


def _choice_text(found: Compressions) -> str:
    """Why the chosen file is chosen."""
    examples = f"{found.plain.best.examples:,} examples of the validation part"
    margin = with_error(found.objective, 0.0, found.plain.stderr).partition(" ± ")[2]
    margin += " points" * found.objective.is_share
    tied = f"at most {margin} worse, the standard error of float32,"
    if found.is_tied(found.chosen) and found.fits(found.chosen):
        return f"the smallest file {tied} on the same {examples}"
    limit = f"max_bytes={format_bytes(found.max_bytes or 0)} of the run"
    if found.fits(found.chosen):
        return f"the best file within {limit}; none there is {tied} on the {examples}"
    return f"the smallest file {tied} on the {examples}; no file is within {limit}"


def _chosen_lines(found: Compressions) -> Iterator[str]:
    """What else to know of the chosen file."""
    method = found.chosen.method
    last = {step.name for step in [s for s in _methods_of(method) if s.train][-1:]}
    beside = [m.name for m in METHODS.values() if last & {*m.baselines}]
    if beside:
        yield f"{method} is a baseline of {', '.join(beside)}"
    mine, its = (row.best.latency_ms for row in (found.chosen, found.plain))
    if mine and its and mine > _SLOW * its:
        yield f"{method} is slower than float32: {mine / its:.1f} times the ms"


def _methods_of(text: str) -> list[Method]:
    """The methods that are joined in a text, of those that are known."""
    names = [step.partition(":")[0] for step in text.split("+")]
    return [METHODS[name] for name in names if name in METHODS]


def _trains(text: str) -> bool:
    return any(method.train for method in _methods_of(text))


def _test_text(found: Compressions) -> str | None:
    tests = [found.chosen.test, found.plain.test]
    texts = [
        f"{test.method} {with_error(found.objective, test.score, test.stderr)}"
        for test in tests[: 1 if found.chosen is found.plain else 2]
        if test is not None and test.score is not None
    ]
    if not texts:
        return None
    of = found.test_difference
    is_told = of is not None and found.chosen is not found.plain
    more = (
        f"; difference {signed_difference(found.objective, of)}"
        if is_told and of
        else ""
    )
    return f"on the test part: {', '.join(texts)}{more}"


def _is_of_zeros(row: Compressed, plain: Compressed) -> bool:
    mine, its = row.best, plain.best
    zipped = (mine.gzip_bytes or 0) < _ZEROS * (its.gzip_bytes or 0)
    return zipped and mine.bytes > _ZEROS * its.bytes


def with_error(objective: Objective, score: float | None, error: float | None) -> str:
    """A score with its standard error, in per cent for shares."""
    score, error = score or 0.0, error or 0.0
    form = _form(objective, error)
    factor = 100 if objective.is_share else 1
    return f"{factor * score:{form}} ± {factor * error:{form}}"


def signed_difference(objective: Objective, of: Difference) -> str:
    """A difference with its standard error, in points for shares; above 0 is better."""
    form = _form(objective, of.stderr)
    factor = 100 if objective.is_share else 1
    return f"{factor * of.gain:+{form}} ± {factor * of.stderr:{form}}"


def _form(objective: Objective, error: float) -> str:
    """How numbers are written: with two digits of their error at least, without an
    exponent."""
    if objective.is_share or not error:
        return ".2f" if objective.is_share else ".4g"
    return f".{max(0, 1 - math.floor(math.log10(error)))}f"


def compressions_json(found: Compressions) -> dict[str, Any]:
    """Compressions as plain data."""
    of = found.test_difference
    return {
        "training": found.training,
        "chosen": found.chosen.method,
        "max_bytes": found.max_bytes,
        "test_difference": None if of is None else vars(of),
        "rows": [_row_json(found, row) for row in found.rows],
        "failed": [{"method": r.method, "reason": r.reason} for r in found.failed],
    }


_FIGURES = (
    *("params", "bytes", "gzip_bytes", "bits", "agreement"),
    *("latency_ms", "latency_high"),
)


def _row_json(found: Compressions, row: Compressed) -> dict[str, Any]:
    difference = found.difference(row)
    return {
        "method": row.method,
        "file": row.best.file,
        "spec": row.best.spec.to_json(),
        **{name: getattr(row.best, name) for name in _FIGURES},
        "score": row.score,
        "stderr": row.stderr,
        "seeds": row.seeds,
        "by_seed": [_seed_json(record) for record in row.results],
        "difference": difference.gain,
        "difference_stderr": difference.stderr,
        "is_tied": found.is_tied(row),
        "is_within_limit": found.fits(row),
        "test": None if row.test is None else _seed_json(row.test),
    }


def _seed_json(record: Compression) -> dict[str, Any]:
    return {name: getattr(record, name) for name in ("seed", "score", "stderr")}
