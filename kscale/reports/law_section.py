"""The law in a report: what more parameters would buy, as table, lines and plot."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from kscale.errors import ResultsError, writing
from kscale.reports.drawings import draw
from kscale.reports.fitted import Fitted
from kscale.reports.forecast import (
    doubling_text,
    law_formula,
    law_lines,
    prediction_grid,
)
from kscale.reports.plots import Mark, PlotData
from kscale.reports.report import Report
from kscale.text import Grid, printable
from kscale.units import format_count

TITLE = "What more parameters would buy"

_CORNERS = 60  # of a line
_MARGIN = 0.1  # of the drawn range of values, above and below


def law_grids(report: Report) -> list[Grid]:
    """What the largest size trained and larger ones would reach; none without a law."""
    law = report.law
    return [] if isinstance(law, str) else [prediction_grid(law, law.predictions)]


def law_texts(report: Report) -> Iterator[str]:
    """What a doubling buys, and the basis of the law; or why there is no law."""
    law = report.law
    if isinstance(law, str):
        yield law
        return
    yield doubling_text(law, *law.doubled)
    yield from law_lines(law)
    yield f"{law_formula(law)}; intervals are of scores on the same examples"
    yield from law.notes


def law_json(report: Report) -> dict[str, Any]:
    """The law as plain data."""
    law = report.law
    if isinstance(law, str):
        return {"law": None, "why_no_law": law}
    found = law.to_json()
    del found["source"]
    return {"law": found, "why_no_law": ""}


def write_plot(fitted: Fitted, path: Path) -> None:
    """Draw a law as a picture.

    Raises:
        ResultsError: The suffix is neither .png nor .svg, or the file cannot be
            written.
    """
    if path.suffix.lower() not in (".png", ".svg"):
        raise ResultsError(f"A law is drawn as .png or .svg, not as {path.name!r}.")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        draw(law_plot(fitted), path)


def law_plot(fitted: Fitted) -> PlotData:
    """The law with its band and what was trained, as far as the law is trusted."""
    law, of = fitted.law, fitted.quantity
    factor = 100 / of.whole if of.in_per_cent else 1.0
    sizes = np.geomspace(law.points[0].size, law.trusted, _CORNERS).tolist()
    predicted = law.predict(sizes)
    line = [(each.size, factor * of.value(each.predicted)) for each in predicted]
    ends = [of.interval(each.low, each.high) for each in predicted]
    points = [
        Mark(
            "front",
            f"{point.size:,} params, {of.text(of.value(point.error))}",
            point.size,
            factor * of.value(point.error),
            factor * of.value_stderr(point.stderr or 0.0),
        )
        for point in law.points
    ]
    drawn = [value for _, value in line] + [point.score for point in points]
    pad = _MARGIN * (max(drawn) - min(drawn)) or 0.05 * abs(max(drawn)) or 1.0
    title = f"{fitted.source}: {of.name} by the law, {law.formula}"
    return PlotData(
        title=printable(title.removeprefix(": ")),
        y_label=f"{printable(of.name)}{' (%)' if of.in_per_cent else ''}"
        f"{'' if of.is_score else ', lower is better'}",
        points=tuple(points),
        line=tuple(line),
        levels=(),
        answers=(),
        ends=((law.trusted, f"trusted to {format_count(law.trusted)}"),),
        x_range=(sizes[0] / 1.6, sizes[-1] * 1.6),
        y_range=(min(drawn) - pad, max(drawn) + pad),
        outside="",
        band=tuple(
            (size, factor * low, factor * high)
            for size, (low, high) in zip(sizes, ends, strict=True)
        ),
        dots="trained; line: the law, with its 90 % interval",
    )
