"""The bits of weights in a report: the best network in each, and which of them wins."""

from collections.abc import Iterator
from typing import Any

from kscale.reports.compression_tables import signed_difference, with_error
from kscale.reports.report import Report
from kscale.runs.stored import OfBits
from kscale.task.objectives import metric_name
from kscale.text import Grid
from kscale.units import format_bytes, format_count

TITLE = "Which bits of weights win"

_METHODS = {16: "float16", 8: "int8-weights", 4: "int4"}


def bits_grid(report: Report) -> Grid:
    """The best network in each of the bits."""
    objective = report.objective
    header = ["bits", "network", "params", "bytes"]
    header += [f"{metric_name(objective)}{report.unit}", "difference"]
    rows = [
        [
            str(each.entry.bits),
            each.entry.label,
            format_count(each.entry.params),
            format_bytes(each.entry.bytes),
            with_error(objective, each.entry.score, each.entry.stderr),
            _difference_cell(report, each),
        ]
        for each in report.by_bits
    ]
    return Grid(header, [True, False, *[True] * 4], rows)


def _difference_cell(report: Report, each: OfBits) -> str:
    if each.difference is None:
        return "best"
    return signed_difference(report.objective, each.difference)


def bits_lines(report: Report) -> Iterator[str]:
    """Whether the winner is sure, meanings, and how the file is made."""
    others = [each for each in report.by_bits if each.difference is not None]
    sure = [o for o in others if o.difference and not o.difference.is_within(2)]
    if others:
        best = next(e.entry for e in report.by_bits if e.difference is None)
        unsure = [str(o.entry.bits) for o in others if o not in sure]
        more = f", not of {' and '.join(unsure)}: these are within luck"
        beaten = " and ".join(str(o.entry.bits) for o in sure) or "no others"
        yield (
            f"the best in {best.bits} bits is surely above that of {beaten} (two "
            f"standard errors){more if unsure else ''}"
        )
    yield (
        "difference: to the best, on the same examples of the validation part, with "
        "its standard error; scores are of weights rounded to these bits"
    )
    for name, row in report.answers:
        if row.bits in _METHODS:
            yield (
                f"{name}: kscale compress --method {_METHODS[row.bits]} writes the "
                f"file of {row.bits} bits; the .keras file has the same rounded weights"
            )


def bits_json(report: Report) -> list[dict[str, Any]]:
    """The best network in each of the bits as plain data."""
    return [
        {
            **{
                name: getattr(each.entry, name)
                for name in ("bits", "params", "bytes", "score", "stderr")
            },
            "spec": each.entry.spec.to_json(),
            "difference": each.difference and each.difference.gain,
            "difference_stderr": each.difference and each.difference.stderr,
        }
        for each in report.by_bits
    ]
