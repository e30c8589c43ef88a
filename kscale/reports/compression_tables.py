"""Tables of compressed networks: what each method made of a trained network."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Group
from rich.text import Text

from kscale.runs.compressions import Compressed, Compressions, Difference
from kscale.runs.records import Compression
from kscale.task.objectives import Objective, metric_name
from kscale.text import Grid, grid_table, plain_text, printable
from kscale.units import format_bytes, format_count

TITLE = "Compressed"

_CHOSEN = "*"
_ZEROS = 0.8  # of the gzip of float32, in a file that is as large
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
    """

    found: Compressions
    folder: Path

    def to_json(self) -> dict[str, Any]:
        """Plain data, with raw numbers and stable keys."""
        return {"folder": str(self.folder), **compressions_json(self.found)}

    def to_text(self, width: int = 110) -> str:
        """The table with what to know of it."""
        lines = [*compression_lines(self.found), f"Files: {self.folder}"]
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
    yield (
        f"{_CHOSEN} {found.chosen.method}: the smallest file at most one standard "
        f"error worse than {plain.method} on the same {plain.best.examples:,} examples "
        "of the validation part"
    )
    if (text := _test_text(found)) is not None:
        yield text
    for record in found.failed:
        yield f"{record.method} failed: {printable(record.reason)}"
    seeds = max(len(row.records) for row in found.rows)
    if seeds > 1:
        yield f"scores of methods that train are means over {seeds} seeds"
    if any(_is_of_zeros(row, plain) for row in found.others):
        yield "zeros make the gzip smaller, and neither the file in memory nor the time"
    yield _LEGEND


def _test_text(found: Compressions) -> str | None:
    tests = [found.chosen.test, found.plain.test]
    texts = [
        f"{test.method} {with_error(found.objective, test.score, test.stderr or 0.0)}"
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


def with_error(objective: Objective, score: float, error: float) -> str:
    """A score with its standard error, in per cent for shares."""
    if objective.is_share:
        return f"{100 * score:.2f} ± {100 * error:.2f}"
    return f"{score:.4g} ± {error:.2g}"


def signed_difference(objective: Objective, of: Difference) -> str:
    """A difference with its standard error, in points for shares; above 0 is better."""
    if objective.is_share:
        return f"{100 * of.gain:+.2f} ± {100 * of.stderr:.2f}"
    return f"{of.gain:+.3g} ± {of.stderr:.2g}"


def compressions_json(found: Compressions) -> dict[str, Any]:
    """Compressions as plain data."""
    of = found.test_difference
    return {
        "training": found.training,
        "chosen": found.chosen.method,
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
        "seeds": len(row.records),
        "by_seed": [_seed_json(record) for record in row.records],
        "difference": difference.gain,
        "difference_stderr": difference.stderr,
        "is_tied": difference.is_tie,
        "test": None if row.test is None else _seed_json(row.test),
    }


def _seed_json(record: Compression) -> dict[str, Any]:
    return {name: getattr(record, name) for name in ("seed", "score", "stderr")}
