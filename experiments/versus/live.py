"""Searches by the wall clock, each in a process of its own, and what they are worth."""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import product
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

import kscale
from versus.rows import append_row, read_rows

DATA = Path(__file__).parents[3] / "shared" / "data"
TRUTH_SEEDS = (900_001, 900_002)

_PATIENT = 10**6
_TO_ITS_END = "kscale, effort normal"  # the one tool that has no time limit

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Problem:
    """A data set, a family and a limit.

    Args:
        data: Name of the data set.
        family: The networks to search.
        max_params: The limit.
        epochs, batch_size: Of a whole training.
        seconds: Wall clock of a search.
    """

    data: str
    family: str
    max_params: int
    epochs: int
    batch_size: int
    seconds: float = 60.0

    @cached_property
    def dataset(self) -> kscale.Dataset:
        """The data set, as every tool gets it."""
        if self.data == "digits":
            return kscale.load_dataset("digits")
        if self.data == "MNIST, 5,000 images":
            with np.load(DATA / "mnist.npz") as file:
                arrays = {name: file[name] for name in file.files}
            few = {name: arrays[name][:5_000] for name in ("x_train", "y_train")}
            return kscale.load_dataset({**arrays, **few}, kind="image", name="mnist")
        if self.data == "Adult":
            return kscale.load_dataset(DATA / "adult_train.csv.gz", label="income")
        return kscale.load_dataset(DATA / "sst2_train.csv.gz")

    def hypermodel(self, seed: int) -> Any:
        """The family as a HyperModel, for every tool but kscale."""
        rows = len(self.dataset.train)
        steps = -(-rows // self.batch_size) * self.epochs
        return kscale.as_hypermodel(
            self.family, self.dataset.task, steps=steps, seed=seed
        )

    @property
    def budget(self) -> kscale.Budget:
        """The limit."""
        return kscale.Budget(max_params=self.max_params)

    def arrays(self) -> dict[str, Any]:
        """Arguments of `fit`."""
        parts = self.dataset.train, self.dataset.validation
        (x, y), validation = (
            (next(iter(p.inputs.values()))[:], next(iter(p.targets.values()))[:])
            for p in parts
        )
        fit = {"x": x, "y": y, "validation_data": validation, "verbose": 0}
        return {**fit, "epochs": self.epochs, "batch_size": self.batch_size}


PROBLEMS = (
    Problem("digits", "cnn", 5_000, 12, 32),
    Problem("Adult", "mlp", 5_000, 4, 64),
    Problem("MNIST, 5,000 images", "cnn", 20_000, 6, 32),
    Problem("SST-2", "mlp", 100_000, 5, 32),
)


class TimeUp(Exception):
    """The wall clock of a search is over."""


@dataclass(frozen=True)
class Clock:
    """Writes what happens, with the second, and ends a search.

    Args:
        seconds: When the search ends.
        output: The file.
        start: When the search began.
    """

    seconds: float
    output: Path
    start: float

    def emit(self, kind: str, **what: Any) -> None:
        """Write what happened."""
        at = round(time.monotonic() - self.start, 3)
        append_row(self.output, {"at": at, "kind": kind, **what})

    def check(self) -> None:
        """Raise if the time is over."""
        if time.monotonic() - self.start > self.seconds:
            raise TimeUp


def run_worker(given: Mapping[str, Any], output: Path) -> None:
    """One search; all that it needs is imported and loaded before the clock starts."""
    import keras_tuner  # noqa: F401
    import optuna
    import tensorflow  # noqa: F401

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    problem = Problem(**given["problem"])
    problem.dataset, kscale.tune, kscale.as_hypermodel  # noqa: B018
    search = TOOLS[given["tool"]]
    with (
        tempfile.TemporaryDirectory() as folder,
        open(os.devnull, "w") as silence,
        contextlib.redirect_stdout(silence),
    ):
        clock = Clock(problem.seconds, output, time.monotonic())
        try:
            search(problem, given["seed"], clock, Path(folder))
            clock.emit("ended", how="by itself")
        except TimeUp:
            clock.emit("ended", how="time")


def _kscale_in_time(problem: Problem, seed: int, clock: Clock, folder: Path) -> None:
    _kscale(problem, seed, clock, folder, time_limit=problem.seconds)


def _kscale_normal(problem: Problem, seed: int, clock: Clock, folder: Path) -> None:
    _kscale(problem, seed, clock, folder, effort="normal")


def _kscale(
    problem: Problem, seed: int, clock: Clock, folder: Path, **length: Any
) -> None:
    class Stamps(kscale.Listener):
        def result_recorded(self, result: kscale.Training | kscale.Reference) -> None:
            is_of_it = isinstance(result, kscale.Training) and result.score is not None
            if is_of_it and result.stage != "baseline":
                clock.emit(
                    result.stage,
                    knobs=dict(result.spec.knobs),
                    rate=result.learning_rate,
                    score=result.score,
                    epochs=result.epochs,
                    seconds=round(result.seconds, 3),
                )

    kscale.tune(
        problem.dataset,
        max_params=problem.max_params,
        family=problem.family,
        searcher="auto",
        epochs=problem.epochs,
        batch_size=problem.batch_size,
        seed=seed,
        run=folder / "run",
        **length,
        listener=Stamps(),
    )


def _keras_tuner(problem: Problem, seed: int, clock: Clock, folder: Path) -> None:
    """Hyperband, helped: no failure ends it, and it proposes only what fits."""
    import keras_tuner

    hypermodel = problem.hypermodel(seed)

    class Timed(keras_tuner.Hyperband):  # type: ignore[misc]
        def on_trial_end(self, trial: Any) -> None:
            super().on_trial_end(trial)
            if trial.status == "COMPLETED":
                hp = trial.hyperparameters
                score = self.oracle.get_trial(trial.trial_id).score
                _emit(clock, hypermodel, hp, score, hp.values["tuner/epochs"])
            clock.check()

    tuner = Timed(
        hypermodel,
        objective=keras_tuner.Objective("val_accuracy", "max"),
        seed=1_000_000 * (seed + 1),
        max_epochs=problem.epochs,
        hyperband_iterations=_PATIENT,
        max_consecutive_failed_trials=_PATIENT,
        directory=str(folder),
    )
    tuner.oracle = kscale.BudgetedOracle(tuner.oracle, problem.budget, hypermodel)
    tuner.search(**problem.arrays())


def _in_budget_random(problem: Problem, seed: int, clock: Clock, folder: Path) -> None:
    rng = np.random.default_rng([seed, 7])
    own = _OwnStack(problem, seed, clock)
    while True:
        hp = own.filled({n: int(rng.integers(len(v))) for n, v in own.choices.items()})
        if own.allows(hp):
            own.train(hp)
            clock.check()


def _optuna(problem: Problem, seed: int, clock: Clock, folder: Path) -> None:
    """Helped: what does not fit is asked for again, and known to nobody."""
    import keras
    import optuna

    own = _OwnStack(problem, seed, clock)
    study = optuna.create_study(
        direction="maximize", sampler=optuna.samplers.TPESampler(seed=1 + seed)
    )

    class Reports(keras.callbacks.Callback):
        is_pruned = False

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            trial.report(logs["val_accuracy"], epoch)
            self.is_pruned = trial.should_prune() and epoch + 1 < problem.epochs
            self.model.stop_training = self.is_pruned

    while True:
        trial = study.ask()
        choices = own.choices.items()
        hp = own.filled({n: trial.suggest_int(n, 0, len(v) - 1) for n, v in choices})
        if not own.allows(hp):
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
            clock.check()
            continue
        reports = Reports()
        score = own.train(hp, reports)
        state = optuna.trial.TrialState.PRUNED if reports.is_pruned else None
        study.tell(trial, None if reports.is_pruned else score, state=state)
        clock.check()


class _OwnStack:
    """Networks of a family trained by Keras' `fit`: what a user would write."""

    def __init__(self, problem: Problem, seed: int, clock: Clock) -> None:
        self.problem = problem
        self.clock = clock
        self.hypermodel = problem.hypermodel(seed)
        self.arrays = problem.arrays()
        choices = self.hypermodel._choices.items()
        self.choices = {name: values for name, values in choices if len(values) > 1}

    def filled(self, places: Mapping[str, int]) -> Any:
        """Hyperparameters with one of the choices each."""
        import keras_tuner

        hp = keras_tuner.HyperParameters()
        hp.values = {name: self.choices[name][at] for name, at in places.items()}
        return hp

    def allows(self, hp: Any) -> bool:
        """Whether there is such a network, within the limit."""
        try:
            return bool(self.problem.budget.allows(self.hypermodel.size(hp)))
        except kscale.SpecError:
            return False

    def train(self, hp: Any, *callbacks: Any) -> float:
        """The score of the last epoch."""
        model = self.hypermodel.build(hp)
        fitted = model.fit(**self.arrays, callbacks=[*callbacks])
        scores = fitted.history["val_accuracy"]
        _emit(self.clock, self.hypermodel, hp, scores[-1], len(scores))
        return float(scores[-1])


def _emit(clock: Clock, hypermodel: Any, hp: Any, score: float, epochs: int) -> None:
    knobs, rate = dict(hypermodel.spec(hp).knobs), hp.get("learning_rate")
    score = round(float(score), 5)
    clock.emit("search", knobs=knobs, rate=rate, score=score, epochs=epochs)


TOOLS = {
    "kscale": _kscale_in_time,
    _TO_ITS_END: _kscale_normal,
    "KerasTuner": _keras_tuner,
    "Optuna": _optuna,
    "in-budget random": _in_budget_random,
}


def run_searches(
    path: Path, problems: Sequence[Problem], tools: Sequence[str], seeds: int
) -> None:
    """Run the searches that are not among the rows of a file yet, tools in turn."""
    for seed, problem, tool in product(range(seeds), problems, tools):
        key = {"kind": "live", "data": problem.data, "tool": tool, "seed": seed}
        rows = read_rows(path)
        if not any(key.items() <= row.items() for row in rows):
            append_row(path, key | _run(problem, tool, seed))
        rows = [row for row in read_rows(path) if key.items() <= row.items()]
        for found in dict.fromkeys(at_and_pick[1] for at_and_pick in picks(rows[0])):
            _train_truth(path, problem, found)


def _run(problem: Problem, tool: str, seed: int) -> dict[str, Any]:
    """A search in a process of its own."""
    given = json.dumps({"problem": asdict(problem), "tool": tool, "seed": seed})
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "events.jsonl"
        main = Path(sys.argv[0])
        done = subprocess.run(
            [sys.executable, str(main), "--worker", given, "--output", str(output)],
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise SystemExit(f"{tool} on {problem.data} failed:\n{done.stderr[-2000:]}")
        *events, end = read_rows(output)
    most = problem.seconds if end["how"] == "time" else end["at"]
    print(f"{problem.data}, seed {seed}: {tool}, {len(events)} trainings", flush=True)
    return {
        "epochs": problem.epochs,
        "seconds": problem.seconds,
        "ended": end["how"],
        "ended_at": end["at"],
        "load": round(os.getloadavg()[0], 1),
        "found": [event for event in events if event["at"] <= most],
    }


def counted(row: Row) -> list[Row]:
    """What a search had found when its time was over; an effort has no such time."""
    most = float("inf") if row["tool"] == _TO_ITS_END else row["seconds"]
    return [event for event in row["found"] if event["at"] <= most]


def picks(row: Row) -> list[tuple[float, str]]:
    """When the answer of a search changed, and to what; see `name_of`.

    The answer is the best finalist by the mean over its seeds, or else the best of the
    trainings of full length, or else the best of all.
    """
    found: list[tuple[float, str]] = []
    scores: dict[int, dict[str, list[float]]] = {0: {}, 1: {}, 2: {}}
    for event in counted(row):
        is_final, is_whole = (
            event["kind"] == "finalist",
            event["epochs"] == row["epochs"],
        )
        level = 2 if is_final else int(is_whole)
        name = name_of(event["knobs"], event["rate"])
        scores[level].setdefault(name, []).append(event["score"])
        best = next(by_name for by_name in reversed(scores.values()) if by_name)
        fold = fmean if best is scores[2] else max
        pick = max(best, key=lambda name: fold(best[name]))
        if not found or found[-1][1] != pick:
            found.append((event["at"], pick))
    return found


def name_of(knobs: Mapping[str, Any], rate: float) -> str:
    """A network and its learning rate in one text."""
    return json.dumps([dict(sorted(knobs.items())), rate])


def _train_truth(path: Path, problem: Problem, name: str) -> None:
    """Scores on the test part of two trainings from seeds that no search has."""
    key = {"kind": "truth", "data": problem.data, "name": name}
    if any(key.items() <= row.items() for row in read_rows(path)):
        return
    knobs, rate = json.loads(name)
    data, family = problem.dataset, kscale.find_family(problem.family)
    blueprint = family.blueprint(family.spec(**knobs), data.task)
    how = {n: knobs[n] for n in ("weight_decay", "label_smoothing")}
    how |= {"epochs": problem.epochs, "batch_size": problem.batch_size}
    scores = []
    for seed in TRUTH_SEEDS:
        model = kscale.build_model(blueprint, seed)
        kscale.fit_model(model, data, learning_rate=rate, seed=seed, **how)
        scores.append(_test_score(model, data))
    append_row(path, {**key, "test": scores})


def _test_score(model: Any, data: kscale.Dataset) -> float:
    rows = next(iter(data.test.inputs.values()))[:]
    given = np.asarray(model.predict(rows, batch_size=1024, verbose=0))
    labels = next(iter(data.test.targets.values()))[:]
    chosen = given.argmax(axis=1) if given.shape[1] > 1 else given[:, 0] > 0
    return round(float((chosen == labels.reshape(len(labels))).mean()), 5)
