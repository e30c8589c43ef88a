"""The bits of weights in a report: the best network in each, and which of them wins."""

from collections.abc import Iterator
from typing import Any

from kscale.reports.cells import difference_text
from kscale.reports.compression_tables import signed_difference, with_error
from kscale.reports.report import Report
from kscale.runs.entries import Entry
from kscale.runs.stored_bits import OfBits, compress_command
from kscale.task.objectives import metric_name
from kscale.text import Grid, printable
from kscale.units import format_bytes, format_count

TITLE = "Which bits of weights win"

_SURE = 2  # standard errors


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


def bits_sentences(report: Report) -> Iterator[tuple[str, str]]:
    """How much better the winner is than the best in other bits, after a name.

    Networks that are no finalists, and baselines, stand for no bits of a search.
    """
    best = next((e.entry for e in report.by_bits if e.difference is None), None)
    rivals = [e for e in report.by_bits if best and _is_rival(e.entry, best)]
    others = [str(e.entry.bits) for e in report.by_bits if e not in rivals]
    texts = [
        f"{'' if not each.difference.is_within(_SURE) else 'not surely '}"
        f"{difference_text(report, -each.difference.gain, each.difference.stderr)} "
        f"than the best in {each.entry.bits} bits ({printable(each.entry.label)})"
        for each in rivals
        if each.difference is not None
    ]
    if best and (texts or others):
        what = ", ".join([str(best.bits), *texts])
        none = (
            f"; no network of the search in {' or '.join(others)} bits was a finalist"
        )
        part = "on the validation part, which chose it"
        yield "bits of the best", f"{what}, {part}{none * bool(others)}"


def _is_rival(entry: Entry, best: Entry) -> bool:
    """Whether a network was searched, and is tried as far as the best one."""
    is_searched = best.is_baseline or not entry.is_baseline
    return is_searched and entry.stage == best.stage


def bits_lines(report: Report) -> Iterator[str]:
    """Meanings, and how the file of an answer is made."""
    yield (
        "difference: to the best, on the same examples of the validation part, with "
        "its standard error; scores are of weights rounded to these bits"
    )
    for name, row in report.answers:
        if row.bits != 32:
            command = compress_command("RUN", name, row.bits)
            yield (
                f"{name}: {command} writes the file of {row.bits} bits; the .keras "
                "file has the same rounded weights"
            )
    yield (
        "bytes are of the weights alone: a file that kscale compress writes is larger "
        "by its graph, scales, biases and norms"
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
