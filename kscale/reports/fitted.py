"""A law with what it is of: the points of a run, of a file, or of a program."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kscale.runs.entries import ScoredModel, recommended_of
from kscale.runs.folder import RecordedRun
from kscale.runs.law.data_law import on_most_examples
from kscale.runs.law.law import Law, fit_law
from kscale.runs.law.points import points_of
from kscale.runs.law.quantities import Quantity
from kscale.runs.law.run_points import RunPoints, run_points


@dataclass(frozen=True)
class Fitted:
    """A law and what it is of.

    Args:
        source: The file or the run, or what else the points came from.
        law: The law, of errors.
        quantity: What the values are that people give and read.
        base: The size that is recommended, or else the best one trained.
        notes: What to know of the points and of the law.
    """

    source: str
    law: Law
    quantity: Quantity
    base: int
    notes: tuple[str, ...]


def opened(source: Any) -> Any:
    """The run of a folder; anything else as it is given."""
    is_folder = isinstance(source, str | Path) and os.path.isdir(source)
    return RecordedRun(source) if is_folder else source


def name_of(source: Any) -> str:
    """What points are called that came from a source."""
    return str(source) if isinstance(source, str | Path) else "points"


def fitted_of(source: Any) -> Fitted:
    """The law of a run, of a file or of points.

    Raises:
        DataError: The points cannot be read.
        LawError: No law can be fitted.
        ResultsError: The folder holds no run.
    """
    source = opened(source)
    if isinstance(source, RecordedRun):
        identity, objective = source.description["identity"], source.objective
        found = run_points(identity, source.results, objective)
        recommended = recommended_of(source.entries(), objective)
        return fitted_trainings(str(source.folder), found, recommended)
    points, quantity = points_of(source)
    law = fit_law(on_most_examples(points))
    return Fitted(name_of(source), law, quantity, best_size(law), law.notes)


def fitted_trainings(
    source: str, found: RunPoints, recommended: ScoredModel | None
) -> Fitted:
    """The law of the trainings of a run, with what the run recommends.

    Raises:
        LawError: No law can be fitted.
    """
    law = fit_law(found.points)
    base = recommended.params if recommended else 0
    if base not in range(law.points[0].size, law.trusted // 2):
        base = best_size(law)
    return Fitted(source, law, found.quantity, base, (*found.notes, *law.notes))


def best_size(law: Law) -> int:
    """The size of the least error trained."""
    return min(law.points, key=lambda point: (point.error, point.size)).size
