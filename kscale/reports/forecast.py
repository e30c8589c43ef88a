"""What a size that was not trained would reach: answers by a fitted law."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from kscale.errors import DataError, LawError
from kscale.reports.data_forecast import (
    examples_grid,
    examples_json,
    examples_sentences,
)
from kscale.reports.fitted import Fitted, fitted_of, fitted_trainings, name_of, opened
from kscale.runs.entries import ScoredModel
from kscale.runs.folder import RecordedRun
from kscale.runs.law.data_law import ExamplesTable, examples_table
from kscale.runs.law.law import TRUSTED, Law, Predicted, Reached
from kscale.runs.law.points import Point, parse_sizes, points_of
from kscale.runs.law.quantities import Quantity, real
from kscale.runs.law.run_points import RunPoints, are_enough, run_points, with_subsets
from kscale.text import Grid, counted, grid_table, plain_text, printable
from kscale.units import format_count

STEPS = (1, 2, 4)
"""Sizes that are shown where none are asked for, by the largest size trained."""


@dataclass(frozen=True)
class Forecast(Fitted):
    """What some sizes would reach, with 90 % intervals.

    Args:
        predictions: Errors of the sizes that were asked for.
        score: The value whose size was asked for; None if none was.
        reached: The size that reaches it.
        doubled: Errors of the recommended size and of twice that.
        data: What more examples would buy; None if that was not asked.
    """

    predictions: tuple[Predicted, ...] = ()
    score: float | None = None
    reached: Reached | None = None
    doubled: tuple[Predicted, ...] = ()
    data: ExamplesTable | None = None

    def to_json(self) -> dict[str, Any]:
        """Raw numbers, in the unit in which values were given."""
        law, of = self.law, self.quantity
        limit = _prediction(of, law.limit)
        return {
            "source": self.source,
            "of": {"name": of.name, "higher_is_better": of.is_score},
            "predictions": [_prediction(of, each) for each in self.predictions],
            "score": None if self.reached is None else self._reached(self.reached),
            "double": [_prediction(of, each) for each in self.doubled] or None,
            "examples": examples_json(of, self.data) if self.data else None,
            "law": {
                "form": law.form,
                "formula": law.formula,
                "largest": law.largest,
                "trusted": _finite(law.trusted),
                "limit": {k: v for k, v in limit.items() if k != "params"},
                "stops_paying": _finite(law.stops_paying),
            },
            "points": [
                {
                    "params": point.size,
                    "value": of.value(point.error),
                    "stderr": None
                    if point.stderr is None
                    else of.value_stderr(point.stderr),
                    "seeds": point.seeds,
                }
                for point in law.points
            ],
            "interval": 0.9,
            "notes": list(self.notes),
        }

    def _reached(self, reached: Reached) -> dict[str, Any]:
        low = None if reached.low <= self.law.points[0].size else reached.low
        sizes = {"params": reached.size, "low": low, "high": reached.high}
        whole = {name: _finite(size) for name, size in sizes.items()}
        return {"score": self.score, **whole}

    def to_text(self, width: int = 100) -> str:
        """A table for people, and what it stands on."""
        from rich.console import Group
        from rich.text import Text

        title = Text(printable(f"{self.source}: {law_formula(self)}"), style="bold")
        lines = map(Text, map(printable, self._sentences()))
        grids = []
        if self.predictions:
            grids.append(prediction_grid(self, self.predictions))
        if self.data:
            grids.append(examples_grid(self.quantity, self.data))
        return plain_text(Group(title, *map(grid_table, grids), *lines), width)

    def _sentences(self) -> Iterator[str]:
        of, reached = self.quantity, self.reached
        if reached is not None and self.score is not None:
            yield _reached_text(of.named(self.score), reached, self.law.points[0].size)
        if self.doubled:
            yield doubling_text(self, *self.doubled)
        if self.data:
            yield from examples_sentences(self.data)
        yield from law_lines(self)
        yield from (f"Note: {note}" for note in self.notes)

    def __str__(self) -> str:
        return self.to_text()


def forecast(
    points: Any,
    params: str | float | Sequence[str | float] = (),
    *,
    score: str | float | None = None,
    double: bool = False,
    examples: str | float | None = None,
    beyond: bool = False,
) -> Forecast:
    """What sizes that were not trained would reach, by a law fitted to those that were.

    Args:
        points: A run or the folder of one; the path of a CSV file with columns `params`
            and `loss`, `error` or a score; or the same as a dict of columns, a list of
            dicts, or pairs of params and error.
        params: Sizes that are asked for: `20e6`, "5M".
        score: A value whose size is asked for: "95%", or a loss.
        double: Whether to say what twice the recommended size buys; without a run,
            twice the best size.
        examples: How many times the training examples to tell of, such as "2x": what
            they would buy, beside more parameters. Points need `examples`; a run has
            them from `kscale tune --for-law --examples-ladder`.
        beyond: Whether sizes beyond four times the largest one trained are answered.

    Raises:
        DataError: The points cannot be read, or a size or value is none.
        LawError: No law can be fitted, or its answer is not to be trusted.
        ResultsError: The folder holds no run.
    """
    asked = _asked(params)
    times = None if examples is None else _times(examples)
    fitted = fitted_of(points)
    found = Forecast(**vars(fitted))
    if times is None or asked or double or score is not None:
        found = answered(fitted, asked, score=score, double=double, beyond=beyond)
    if times is not None:
        table = examples_table(_with_examples(points), times, beyond=beyond)
        found = replace(found, data=table)
    return found


def _asked(params: Any) -> list[int]:
    """Sizes that are asked for.

    Raises:
        DataError: One of them is none.
    """
    is_one = isinstance(params, str) or not hasattr(params, "__iter__")
    try:
        several = [params] if is_one else [*params]
        return [size for each in several for size in parse_sizes(str(each))]
    except (TypeError, ValueError) as error:
        raise DataError(f"params: {error}") from error


def _times(text: str | float) -> float:
    """How many times the examples.

    Raises:
        DataError: That is no number.
    """
    try:
        return real(str(text).strip().lower().removesuffix("x"))
    except ValueError as error:
        raise DataError(
            f"examples: {error} Times the examples are meant: 2x."
        ) from error


def _with_examples(source: Any) -> tuple[Point, ...]:
    """The points of a source, those on fewer examples included."""
    source = opened(source)
    if not isinstance(source, RecordedRun):
        points, _ = points_of(source)
        if not any(point.examples for point in points):
            raise DataError(f"{name_of(source)} has no column examples.")
        return points
    identity, objective = source.description["identity"], source.objective
    found = run_points(identity, source.results, objective)
    return with_subsets(found, source.results)


def law_of(found: RunPoints | str, recommended: ScoredModel | None) -> Forecast | str:
    """What a run says of larger sizes, or a sentence on why it says nothing.

    Args:
        found: The points of the run, or why there are none.
        recommended: What the run recommends; None if there is nothing yet.
    """
    if isinstance(found, str):
        return found
    if not are_enough(found.points):
        sizes = [point.size for point in found.points]
        ends = dict.fromkeys(map(format_count, sizes[:1] + sizes[-1:]))
        between = f" ({' to '.join(ends)} params)" if sizes else ""
        return (
            "No law of size: it takes 4 sizes, the largest 10 times the smallest, and "
            f"there {'is' if len(sizes) == 1 else 'are'} "
            f"{counted(len(sizes), 'size')} trained in full{between}."
        )
    try:
        fitted = fitted_trainings("", found, recommended)
    except LawError as error:
        return f"No law of size: {error}"
    return answered(fitted, steps_of(fitted.law), double=True)


def answered(
    fitted: Fitted,
    sizes: Sequence[int] = (),
    *,
    score: str | float | None = None,
    double: bool = False,
    beyond: bool = False,
) -> Forecast:
    """The answers of a law; without a question, those of `STEPS`.

    Raises:
        DataError: The score is none.
        LawError: No size reaches the score, or an answer is not to be trusted.
    """
    law, notes = fitted.law, fitted.notes
    if not (sizes or double) and score is None:
        sizes = steps_of(law)
    value, reached = None, None
    if score is not None:
        value = _value(fitted, score)
        reached = _reaching(fitted, value, beyond)
    doubled = [fitted.base, 2 * fitted.base] if double else []
    notes = (*notes, *_below(law, sizes))
    if beyond:
        far = [*sizes, *doubled, *([reached.size] if reached else [])]
        notes = (*notes, *_assumed(law, far))
    return Forecast(
        **{**vars(fitted), "notes": notes},
        predictions=tuple(law.predict(sizes, beyond=beyond)) if sizes else (),
        score=value,
        reached=reached,
        doubled=tuple(law.predict(doubled, beyond=beyond)) if doubled else (),
    )


def steps_of(law: Law) -> list[int]:
    """Sizes to show where none is asked for: the largest one trained, and further."""
    return [step * law.largest for step in STEPS]


def _value(fitted: Fitted, score: str | float) -> float:
    try:
        return fitted.quantity.parse(score)
    except ValueError as error:
        raise DataError(f"score: {error}") from error


def _reaching(fitted: Fitted, value: float, beyond: bool) -> Reached:
    """The size that reaches a value.

    Raises:
        LawError: None does, or none of those for which the law is trusted.
    """
    law, of = fitted.law, fitted.quantity
    try:
        reached = law.reach(of.error(value))
    except LawError as error:
        raise LawError(
            f"No size reaches {of.named(value)}: by the law the limit is "
            f"{interval_text(of, law.limit)}."
        ) from error
    if reached.size > law.trusted and not beyond:
        (most,) = law.predict([law.trusted])
        raise LawError(
            f"{of.named(value)} is not reached within 4 times the largest "
            f"size trained: {format_count(law.trusted)} params would have "
            f"{interval_text(of, most)}. With --beyond a larger size is named."
        )
    return reached


def _below(law: Law, sizes: Iterable[int]) -> Iterator[str]:
    least = law.points[0].size
    if far := [size for size in sizes if size < least / TRUSTED]:
        yield (
            f"{format_count(min(far))} params are 1/{least / min(far):.3g} of the "
            f"smallest size trained, {format_count(least)}: a guess."
        )


def _assumed(law: Law, sizes: Iterable[float]) -> Iterator[str]:
    if any(size > law.trusted for size in sizes):
        yield (
            f"Beyond {format_count(law.trusted)} params, 4 times the largest size "
            f"trained, it is assumed that the law goes on ({law.formula}), with data "
            "and training that stay as they are."
        )


def law_formula(fitted: Fitted) -> str:
    """What the law is of, and the law."""
    law = fitted.law
    sizes = sorted(point.size for point in law.points)
    number = counted(len({*sizes}), "size")
    error = "1 - " * fitted.quantity.is_score + fitted.quantity.name
    return (
        f"law of {number} from {format_count(sizes[0])} to {format_count(sizes[-1])} "
        f"params; {error}: {law.formula}"
    )


def law_lines(fitted: Fitted) -> Iterator[str]:
    """Limit, and where more stops paying."""
    law, of = fitted.law, fitted.quantity
    yield f"Limit at any size: {interval_text(of, law.limit)}."
    if law.stops_paying is not None:
        yield (
            f"More stops paying: from {format_count(law.stops_paying)} params on, "
            "doubling buys less than the noise of one training."
        )


def prediction_grid(fitted: Fitted, predictions: Iterable[Predicted]) -> Grid:
    """Sizes with what they would reach."""
    law, of = fitted.law, fitted.quantity
    rows = [
        [
            f"{round(each.size):,}",
            f"{each.size / law.largest:.3g}x",
            of.text(of.value(each.predicted)),
            " to ".join(map(of.text, of.interval(each.low, each.high))),
        ]
        for each in predictions
    ]
    header = ["params", "of the largest", of.name, "90 % interval"]
    return Grid(header, [True] * len(header), rows)


def doubling_text(fitted: Fitted, before: Predicted, after: Predicted) -> str:
    """What doubling buys."""
    of = fitted.quantity
    return (
        f"Doubling {format_count(before.size)} params: from "
        f"{interval_text(of, before)} to {interval_text(of, after)}."
    )


def interval_text(of: Quantity, each: Predicted) -> str:
    """A predicted value with its interval."""
    low, high = map(of.text, of.interval(each.low, each.high))
    return f"{of.text(of.value(each.predicted))} (90 % interval {low} to {high})"


def _reached_text(score: str, reached: Reached, least: int) -> str:
    """Which size a score takes; sizes below the least one trained are not known."""
    low, size, high = map(format_count, (reached.low, reached.size, reached.high))
    if reached.size <= least:
        return f"The smallest size trained, {size}, already reaches {score}."
    end = high if math.isfinite(reached.high) else "any size or none"
    start = f"{low} to" if reached.low > least else "up to"
    return f"{score} takes {size} params (90 % interval {start} {end})."


def _prediction(of: Quantity, each: Predicted) -> dict[str, Any]:
    low, high = of.interval(each.low, each.high)
    return {
        "params": _finite(each.size),
        "predicted": _finite(of.value(each.predicted)),
        "low": _finite(low),
        "high": _finite(high),
    }


def _finite(number: float | None) -> float | None:
    return number if number is not None and math.isfinite(number) else None
