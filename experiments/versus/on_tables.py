"""Searches of other tools on tables of trained networks, their costs in epochs."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
from replay import Replay
from tables.reading import TableTask

from kscale import Budget, BudgetedOracle, Size
from versus.scoring import Step

_PATIENT = 10**9
_MOST_ASKED = 20_000  # proposals, after which a search that trains nothing more ends
_MOST_ASKED_OF_OPTUNA = 500  # the same; each takes longer the more there were
_MOST_REDRAWN = 20  # proposals of Optuna that do not fit, before one is drawn
_SHORT = 27  # the part of the epochs that one-epoch top-K trains first

Found = Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Grid:
    """A table as the tools see it: one choice for each knob, whether it fits or not.

    A knob that follows from the others is none. What the table leaves out because a
    narrower network of the same depth is the same one, is looked up there.
    """

    task: TableTask

    @cached_property
    def _rows(self) -> list[dict[str, Any]]:
        rates = map(float, self.task.learning_rates)
        return [
            {**dict(spec.knobs), "learning_rate": rate}
            for spec, rate in zip(self.task.specs, rates, strict=True)
        ]

    @cached_property
    def choices(self) -> dict[str, list[Any]]:
        """The values of each knob that has several."""
        choices = {
            name: sorted({row[name] for row in self._rows}) for name in self._rows[0]
        }
        names = [name for name in sorted(choices) if len(choices[name]) > 1]
        for name in tuple(names):
            others = [each for each in names if each != name]
            if len({tuple(row[n] for n in others) for row in self._rows}) == len(
                self._rows
            ):
                names = others
        return {name: choices[name] for name in names}

    @cached_property
    def _places(self) -> dict[tuple[Any, ...], int]:
        return {
            tuple(row[name] for name in self.choices): place
            for place, row in enumerate(self._rows)
        }

    def place(self, found: Found) -> int:
        """The number of a network in the table."""
        values = {name: found[name] for name in self.choices}
        while tuple(values.values()) not in self._places:
            widths = [w for w in self.choices["width"] if w < values["width"]]
            values["width"] = widths[-1]
        return self._places[tuple(values.values())]

    def values(self, place: int) -> dict[str, Any]:
        """The knobs of a network."""
        return {name: self._rows[place][name] for name in self.choices}


@dataclass(frozen=True, eq=False)
class Problem:
    """One search to do: a table's task within a limit, from a seed.

    Args:
        grid: The task.
        limit: Most parameters.
        repeat: Decides the seed, and which of the table's seeds is seen.
        fits: Trainings of full length that may be paid.
    """

    grid: Grid
    limit: int
    repeat: int
    fits: int

    @cached_property
    def replay(self) -> Replay:
        """The same for a searcher of kscale."""
        return Replay(self.grid.task, self.limit, self.repeat)

    @property
    def epochs(self) -> int:
        """Of a training of full length."""
        return self.grid.task.epochs

    @property
    def most(self) -> int:
        """Epochs that may be paid."""
        return self.fits * self.epochs

    def allows(self, place: int) -> bool:
        """Whether a network is within the limit."""
        return bool(self.grid.task.params[place] <= self.limit)

    def score(self, place: int, epochs: int) -> float:
        """What a search sees of a network."""
        return float(self.replay.seen[place, epochs - 1])

    @cached_property
    def order(self) -> list[int]:
        """What fits, in a random order."""
        rng = np.random.default_rng([self.replay.seed, 1])
        return [int(place) for place in rng.permutation(self.replay.fitting)]


class _Paid:
    """What a search has trained: a network and rate that are trained again cost only
    the epochs that they did not have before.

    Args:
        problem: The search.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.cost = 0
        self.epochs: dict[int, int] = {}

    def pay(self, place: int, epochs: int) -> None:
        """Train a network to an epoch."""
        before = self.epochs.get(place, 0)
        self.cost += max(epochs - before, 0)
        self.epochs[place] = max(epochs, before)

    @property
    def is_over(self) -> bool:
        """Whether more was paid than may be."""
        return self.cost > self.problem.most

    @property
    def has_all(self) -> bool:
        """Whether everything that fits was trained."""
        return len(self.epochs) == len(self.problem.replay.fitting)


Search = Callable[[Problem], Iterator[Step]]


def random_search(problem: Problem) -> Iterator[Step]:
    """Networks that fit, in a random order, each trained whole."""
    for number, place in enumerate(problem.order[: problem.fits], 1):
        epochs = problem.epochs
        yield Step(number * epochs, place, epochs, problem.score(place, epochs))


def top_k(problem: Problem) -> Iterator[Step]:
    """A third of the cost for short trainings, the best of those trained to the end.

    Short is one epoch, or a 27th of the epochs where that is more (Egele et al. 2023,
    arXiv 2307.15422). What a search may cost is known beforehand.
    """
    sign = 1 if problem.grid.task.higher_is_better else -1
    short = max(1, round(problem.epochs / _SHORT))
    rest = problem.epochs - short
    begun = min(problem.most / 3, problem.most - rest) // short
    tried, cost = problem.order[: max(int(begun), 1)], 0
    for place in tried:
        cost += short
        yield Step(cost, place, short, problem.score(place, short))
    tried.sort(key=lambda place: -sign * problem.score(place, short))
    for place in tried:
        cost += rest
        if cost > problem.most:
            return
        yield Step(cost, place, problem.epochs, problem.score(place, problem.epochs))


class _TableSizes:
    """Sizes of networks by their hyperparameters, as `BudgetedOracle` asks for them."""

    errors: Sequence[str] = ()
    is_hopeless, has_counted = False, True

    def __init__(self, grid: Grid) -> None:
        self.grid = grid

    def size(self, hp: Any) -> Size:
        params = int(self.grid.task.params[self.grid.place(hp.values)])
        return Size(
            params=params,
            trainable=params,
            flops=0,
            activation_bytes=0,
            training_activation_bytes=0,
        )


def keras_tuner_search(problem: Problem, tool: str, is_helped: bool) -> Iterator[Step]:
    """A tuner of KerasTuner: its oracle is asked, what it proposes is looked up.

    As shipped, what is oversized is a failed trial, and three in a row end the search.
    Helped, `kscale.BudgetedOracle` proposes only what fits.
    """
    oracle = _oracle(problem, tool, is_helped)
    paid = _Paid(problem)
    for _ in range(_MOST_ASKED):
        trial = oracle.create_trial("tuner")
        if trial.status != "RUNNING":
            return
        values = trial.hyperparameters.values
        place = problem.grid.place(values)
        if problem.allows(place):
            epochs = values.get("tuner/epochs", problem.epochs)
            paid.pay(place, epochs)
            if paid.is_over:
                return
            score = problem.score(place, epochs)
            yield Step(paid.cost, place, epochs, score)
            oracle.update_trial(trial.trial_id, {"score": score}, step=epochs)
            trial.status = "COMPLETED"
        else:
            trial.status = "FAILED"
        try:
            oracle.end_trial(trial)
        except RuntimeError:  # three failures in a row
            return


def _oracle(problem: Problem, tool: str, is_helped: bool) -> Any:
    import keras_tuner
    from keras_tuner import oracles

    space = keras_tuner.HyperParameters()
    for name, values in problem.grid.choices.items():
        space.Choice(name, values, ordered=not isinstance(values[0], str))
    length: dict[str, Any] = {"max_trials": _MOST_ASKED}
    if tool == "Hyperband":
        length = {"max_epochs": problem.epochs, "hyperband_iterations": _MOST_ASKED}
    direction = "max" if problem.grid.task.higher_is_better else "min"
    oracle = getattr(oracles, f"{tool}Oracle")(
        objective=keras_tuner.Objective("score", direction),
        seed=problem.replay.seed,
        hyperparameters=space,
        max_consecutive_failed_trials=_PATIENT if is_helped else 3,
        **length,
    )
    if is_helped:
        oracle = BudgetedOracle(oracle, Budget(max_params=problem.limit), _never_built)
        oracle._sizes = _TableSizes(problem.grid)
    oracle.verbose = 0
    oracle.save = oracle._save_trial = lambda *_: None  # files of a project
    return oracle


def first_bracket(epochs: int) -> int:
    """Networks that Hyperband begins with."""
    from keras_tuner.oracles import HyperbandOracle

    oracle = HyperbandOracle(max_epochs=epochs)
    return int(oracle._get_size(oracle._current_bracket, 0))


def _never_built(hp: Any) -> Any:
    raise NotImplementedError


def optuna_search(problem: Problem, is_helped: bool) -> Iterator[Step]:
    """Optuna's TPE with the pruner by medians, both as they are by default.

    As shipped, what is oversized is pruned at once, as Optuna's manual says. Helped,
    what is oversized or was trained before is asked for again, and after 20 times taken
    from the others, at random.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    direction = "maximize" if problem.grid.task.higher_is_better else "minimize"
    sampler = optuna.samplers.TPESampler(seed=problem.replay.seed)
    study = optuna.create_study(direction=direction, sampler=sampler)
    state = optuna.trial.TrialState
    paid = _Paid(problem)
    for _ in range(_MOST_ASKED_OF_OPTUNA):
        trial, place = _asked(problem, study)
        if is_helped:
            for redrawn in range(_MOST_REDRAWN + 1):
                if problem.allows(place) and place not in paid.epochs:
                    break
                study.tell(trial, state=state.FAIL)
                new = next(p for p in problem.order if p not in paid.epochs)
                given = new if redrawn == _MOST_REDRAWN - 1 else None
                trial, place = _asked(problem, study, given)
        if not problem.allows(place):
            study.tell(trial, state=state.PRUNED)
            continue
        for epochs in _reported(problem.epochs):
            score = problem.score(place, epochs)
            trial.report(score, epochs)
            if trial.should_prune() and epochs < problem.epochs:
                study.tell(trial, state=state.PRUNED)
                break
        else:
            study.tell(trial, score)
        paid.pay(place, epochs)
        if paid.is_over:
            return
        yield Step(paid.cost, place, epochs, score)
        if paid.has_all:
            return


def _reported(epochs: int) -> list[int]:
    """Epochs after which Optuna hears of a training: ten of them, the last one too."""
    step = max(1, epochs // 10)
    return sorted({*range(step, epochs, step), epochs})


def _asked(problem: Problem, study: Any, place: int | None = None) -> tuple[Any, int]:
    choices = problem.grid.choices
    if place is not None:
        given = {
            name: value if isinstance(value, str) else choices[name].index(value)
            for name, value in problem.grid.values(place).items()
        }
        study.enqueue_trial(given)
    trial = study.ask()
    found = {}
    for name, values in choices.items():
        if isinstance(values[0], str):
            found[name] = trial.suggest_categorical(name, values)
        else:
            found[name] = values[trial.suggest_int(name, 0, len(values) - 1)]
    return trial, problem.grid.place(found)


METHODS: dict[str, Search] = {
    "in-budget random": random_search,
    "one-epoch top-K": top_k,
    **{
        f"KerasTuner {tool}{', helped' * is_helped}": partial(
            keras_tuner_search, tool=f"{tool}", is_helped=bool(is_helped)
        )
        for tool in ("RandomSearch", "BayesianOptimization", "Hyperband")
        for is_helped in (0, 1)
    },
    "Optuna TPE": partial(optuna_search, is_helped=False),
    "Optuna TPE, our filter": partial(optuna_search, is_helped=True),
}
"""The searches of others by their names."""
