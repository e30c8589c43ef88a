"""Possible curves: those that points leave possible, of all forms.

Forms are weighed by how well they tell the errors of the largest sizes from those of
the others, never by how near they come to all. So are laws of single depths.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import chain

import numpy as np

from kscale.errors import LawError
from kscale.runs.law.fits import DRAWN, Curves, Fit, Trained
from kscale.runs.law.forms import Form, Values, bounded, power
from kscale.runs.law.points import Point
from kscale.text import listed
from kscale.units import format_count

_LEAST_SIZES = 4
_LEAST_RANGE = 3  # largest size over smallest
_TURNING = 5  # sizes from which a curve may turn up
_MOST = 60  # points in a fit
_STEPS = 4  # at most, in which held sizes are told

Step = tuple[list[Point], list[Point]]
Steps = Sequence[Step]


def check_points(points: Sequence[Point]) -> None:
    """Refuse points that fix no law.

    Raises:
        LawError: There are too few sizes, they are too near to each other, or no error
            is above 0.
    """
    sizes = sorted({point.size for point in points})
    if len(sizes) < _LEAST_SIZES:
        shown = listed([format_count(size) for size in sizes], 4) or "none"
        raise LawError(
            f"A law needs the errors of {_LEAST_SIZES} sizes or more; there are "
            f"{len(sizes)}: {shown}."
        )
    if sizes[-1] < _LEAST_RANGE * sizes[0]:
        raise LawError(
            f"A law needs sizes that differ by a factor of {_LEAST_RANGE} or more; "
            f"these are from {format_count(sizes[0])} to {format_count(sizes[-1])}."
        )
    if not any(point.error > 0 for point in points):
        raise LawError("All errors are 0: there is nothing that a law could explain.")


def possible_curves(points: Sequence[Point], seed: int = 0) -> list[Curves]:
    """Curves of each form, as many as the form is likely.

    Args:
        points: Sizes and their errors, that fix a law.
        seed: Of the curves that are drawn.
    """
    trained = _trained(points, points)
    forms = _forms(points)
    logs = _densities(forms, [*_steps(points)])
    weights = np.exp(logs - logs.max())
    numbers = np.round(DRAWN * weights / weights.sum()).astype(int)
    return [
        Fit(form, trained).draw(number, seed + place)
        for place, (form, number) in enumerate(zip(forms, numbers, strict=True))
        if number
    ]


def best_depth(points: Sequence[Point]) -> int | None:
    """The depth that is best at the largest sizes; None where one law suits all depths.

    Depths have laws of their own where these tell the errors of the largest sizes of
    each depth better than one law of all points does.

    Args:
        points: Sizes and their errors; those of unknown depth are of no use here.
    """
    groups = _by_depth(points)
    if len(groups) < 2:
        return None
    apart = [[*_steps(each)] for each in groups.values()]
    together = [*_together(apart)]
    if _density(together) >= sum(map(_density, apart)):
        return None
    edge = min(each[-1].size for each in groups.values())
    return min(groups, key=lambda depth: _middle(groups[depth], edge))


def _together(apart: Sequence[Steps]) -> Iterator[Step]:
    """Steps of all depths at once; a depth of fewer steps has its last ones with the
    others' last ones."""
    for place in range(-max(map(len, apart)), 0):
        steps = [steps[place] for steps in apart if len(steps) >= -place]
        yield [*chain(*(s[0] for s in steps))], [*chain(*(s[1] for s in steps))]


def _middle(points: Sequence[Point], size: float) -> float:
    """The error at a size, as likely too high as too low."""
    relative = np.array([size / points[-1].size])
    errors = [curves.errors(relative) for curves in possible_curves(points)]
    return float(np.median(np.concatenate(errors)))


def _by_depth(points: Sequence[Point]) -> dict[int, list[Point]]:
    """Points of each depth that has enough of them for a law."""
    groups: dict[int, list[Point]] = defaultdict(list)
    for point in points:
        if point.depth is not None:
            groups[point.depth].append(point)
    return {depth: each for depth, each in sorted(groups.items()) if _fix_a_law(each)}


def _fix_a_law(points: Sequence[Point]) -> bool:
    try:
        check_points(points)
    except LawError:
        return False
    return True


def _steps(points: Sequence[Point]) -> Iterator[Step]:
    """The largest third of the sizes, the smaller ones first, in up to four steps: at
    each, the points of smaller sizes, and those that are to be told from them."""
    sizes = sorted({point.size for point in points})
    held = sizes[-max(len(sizes) // 3, 1) :]
    for some in np.array_split(held, min(len(held), _STEPS)):
        known = [point for point in points if point.size < some[0]]
        yield known, [point for point in points if some[0] <= point.size <= some[-1]]


def _density(steps: Steps) -> float:
    """Logarithm of the likelihood of held points from known ones, over all forms."""
    forms = _forms(steps[0][0])
    return float(np.logaddexp.reduce(_densities(forms, steps)))


def _densities(forms: Sequence[Form], steps: Steps) -> Values:
    """Logarithms of the likelihood of held points from known ones, by form."""
    found = np.array([form.log_odds for form in forms])
    for known, held in steps:
        scale = [*known, *held]
        first, rest = _trained(known, scale), _trained(held, scale)
        found += [Fit(form, first).log_density(rest) for form in forms]
    return found


def _trained(points: Sequence[Point], scale: Sequence[Point]) -> Trained:
    """Points as a fit takes them: relative to the largest size of a scale, and with
    errors of 0 in place of half of the least above 0 in it."""
    known = np.array([point.stderr or 0.0 for point in points])
    least = min(point.error for point in scale if point.error > 0) / 2
    errors = np.array([point.error for point in points], float)
    errors = np.maximum(errors, np.maximum(least, known / 2))
    sizes = np.array([point.size for point in points], float)
    noise = np.minimum(known / errors, 1.0)
    trained = Trained(sizes / max(p.size for p in scale), np.log(errors), noise)
    return trained if len(points) <= _MOST else _pooled(trained)


def _pooled(trained: Trained) -> Trained:
    """Means of neighbours in size, as a fit to thousands of points takes too long."""
    groups = np.array_split(np.argsort(trained.sizes), _MOST)
    return Trained(
        np.array([np.exp(np.log(trained.sizes[each]).mean()) for each in groups]),
        np.array([trained.logs[each].mean() for each in groups]),
        np.array(
            [np.sqrt((trained.noise[each] ** 2).mean() / len(each)) for each in groups]
        ),
    )


def _forms(points: Sequence[Point]) -> list[Form]:
    sizes = {point.size for point in points}
    forms = [power()]
    if len(sizes) >= _TURNING:
        forms.append(bounded(min(sizes) / max(sizes)))
    return forms
