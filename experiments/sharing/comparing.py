"""What shared weights choose, beside what each size is worth when trained alone."""

from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from replay import Replay
from tables.figures import rank_correlation
from tables.reading import TableTask

from kscale.networks.families.base import Spec

_REPEATS = 12  # of each other searcher
_COSTS = (1, 2, 3, 5, 8, 12, 20)  # trainings, that random may take

Values = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Comparison:
    """Trainings of shared weights within one limit, a row for each seed.

    Args:
        task: What the sizes are worth.
        limit: Most parameters.
        rows: Rows of `shared_weights.jsonl`.
    """

    task: TableTask
    limit: int
    rows: list[dict[str, Any]]

    @cached_property
    def _sizes(self) -> TableTask:
        """The sizes of the rows, in their order, at their learning rate."""
        task, first = self.task, self.rows[0]
        known = {
            (*_size(spec), rate): place
            for place, (spec, rate) in enumerate(
                zip(task.specs, task.learning_rates, strict=True)
            )
        }
        places = (known[d, w, first["rate"]] for d, w, _ in first["scores"])
        return chosen(task, tuple(places))

    @cached_property
    def _scores(self) -> list[Values]:
        """From shared weights, of each row."""
        return [np.array([score for *_, score in row["scores"]]) for row in self.rows]

    def ranks(self) -> dict[str, str]:
        """Rank correlations with what sizes are worth, mean over the seeds."""
        task, scores = self._sizes, self._scores
        alone = task.curves[: len(scores)]
        gaps = [np.abs(a - b[:, -1]).mean() for a, b in zip(scores, alone, strict=True)]
        of_size = {
            "parameters": rank_correlation(task.params, task.truth),
            "work": rank_correlation(task.work, task.truth),
        }
        of_seeds = {
            "shared weights": scores,
            "first epoch alone": alone[:, :, 0],
            "whole training alone": alone[:, :, -1],
        }
        return {
            "sizes": str(len(task.truth)),
            **{name: f"{value:.2f}" for name, value in of_size.items()},
            **{
                name: _shown([rank_correlation(each, task.truth) for each in values])
                for name, values in of_seeds.items()
            },
            "shared - alone, points": _shown(gaps),
        }

    def choices(self) -> dict[str, str]:
        """What is missed among sizes at one rate, beside other ways to choose."""
        task, missed = self._sizes, _missed(self._sizes)
        picks = [missed[scores.argmax()] for scores in self._scores]
        spent = [row["trained"] + row["scored"] for row in self.rows]
        cost, found = self._finals(task, task.work)
        enough = (
            str(trainings)
            for trainings in _COSTS
            if self._reached(task, "random", trainings) <= np.mean(found)
        )
        return {
            "shared weights: cost": f"{np.mean(spent):.1f}",
            "best of them": _shown(picks),
            "largest size": f"{missed[task.params.argmax()]:.2f}",
            "with finalists: cost": f"{cost:.1f}",
            "missed": _shown(found),
            **self._others(task, cost),
            "random is as good at": next(enough, f"> {_COSTS[-1]}"),
        }

    def rates(self) -> dict[str, str]:
        """What is missed where finalists are trained at each learning rate."""
        cost, found = self._finals(self.task, self._sizes.work)
        return {
            "finalists at all rates: cost": f"{cost:.1f}",
            "missed": _shown(found),
            **self._others(self.task, cost),
        }

    def _others(self, task: TableTask, cost: float) -> dict[str, str]:
        return {
            f"{name}, same cost": f"{self._reached(task, name, cost):.2f}"
            for name in ("random", "auto")
        }

    def _finals(self, task: TableTask, work: Values) -> tuple[float, list[float]]:
        """Cost, and what is missed by each seed, when the best size of each octave is
        trained alone, at all learning rates of a task."""
        costs, found = [], []
        fits = task.params <= self.limit
        missed = task.truth[fits].max() - task.truth
        for number, (row, scores) in enumerate(
            zip(self.rows, self._scores, strict=True)
        ):
            finalists = {_size(self._sizes.specs[i]) for i in self._finalists(scores)}
            places = [
                i for i, spec in enumerate(task.specs) if _size(spec) in finalists
            ]
            seen = task.curves[number, places, -1]
            found.append(float(missed[places[int(seen.argmax())]]))
            trained = task.work[places].sum() / work.mean()
            costs.append(row["trained"] + row["scored"] + trained)
        return float(np.mean(costs)), found

    def _finalists(self, scores: Values) -> list[int]:
        """The best size of each octave of parameters."""
        octaves = np.log2(self._sizes.params).astype(int)
        return [
            int(max(np.flatnonzero(octaves == octave), key=scores.__getitem__))
            for octave in np.unique(octaves)
        ]

    def _reached(self, task: TableTask, name: str, cost: float) -> float:
        """Mean regret of another searcher at a cost; its trainings count alike."""
        return _regret(task, self.limit, name, max(1, round(cost)))


@cache
def _regret(task: TableTask, limit: int, name: str, fits: int) -> float:
    """Mean over the repeats."""
    repeats = [Replay(task, limit, repeat) for repeat in range(_REPEATS)]
    return float(np.mean([each.regret(name, fits) for each in repeats]))


@cache
def chosen(task: TableTask, places: tuple[int, ...]) -> TableTask:
    """A task of some specs of another."""
    return replace(
        task,
        specs=tuple(task.specs[place] for place in places),
        curves=task.curves[:, list(places)],
        **{
            name: getattr(task, name)[list(places)]
            for name in ("learning_rates", "params", "work", "truth")
        },
    )


def _size(spec: Spec) -> tuple[Any, ...]:
    knobs = dict(spec.knobs)
    return knobs["depth"], knobs["width"]


def _missed(task: TableTask) -> Values:
    return np.asarray(task.truth.max() - task.truth)


def _shown(values: Any) -> str:
    """Mean, and least to greatest."""
    return f"{np.mean(values):.2f} ({np.min(values):.2f} to {np.max(values):.2f})"
