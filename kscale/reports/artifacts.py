"""Sentences on files made of trained models: what each gave when it was run again."""

from kscale.reports.compression_tables import with_error
from kscale.runs.records import Export
from kscale.ship.formats import FORMATS
from kscale.task.objectives import Objective, metric_name
from kscale.units import format_bytes


def artifact_text(found: Export, objective: Objective) -> str:
    """Sizes, score, agreement and latency of a file, in one line."""
    packed = format_bytes(found.gzip_bytes or found.bytes)
    words = [f"{format_bytes(found.bytes)} ({packed} as gzip)"]
    if found.score is not None:
        words.append(score_with_error(found, objective))
    if found.agreement is not None:
        words.append(f"{100 * found.agreement:.4g} % the same answers as the model")
    if found.difference:
        words.append(f"largest difference {found.difference:.1g}")
    if found.latency_ms is not None and found.latency_high is not None:
        where = "" if FORMATS[found.format].carries is None else " on one thread"
        words.append(
            f"{found.latency_ms:.2g} ms an example{where} (p90 "
            f"{found.latency_high:.2g})"
        )
    return "; ".join(words) + "."


def score_with_error(found: Export, objective: Objective) -> str:
    """The score with its standard error, and the examples that it is of."""
    number = with_error(objective, found.score or 0.0, found.stderr or 0.0)
    unit = " %" if objective.is_share else ""
    of = f"{metric_name(objective)} on {found.examples:,} test examples"
    return f"{number}{unit} {of}"
