"""One search of one tool, in a process of its own, stamped by one clock."""

import contextlib
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import kscale
from versus.space import FAMILY, SMOKE, Space, append_row

PATIENT = 1_000_000
SHIPPED = 3  # KerasTuner's own `max_consecutive_failed_trials`
MOST_TRIALS = 100_000  # the clock ends a search, not a number of trials


@dataclass(frozen=True)
class Method:
    """A way to search.

    Args:
        name: In tables and rows.
        tool: `kscale`, or the name of a tuner of KerasTuner.
        failures: KerasTuner's `max_consecutive_failed_trials`.
        own_stack: Whether KerasTuner trains by `fit`, not by kscale's loop.
        finalist_seeds: Of `kscale.tune`.
    """

    name: str
    tool: str = "kscale"
    failures: int = SHIPPED
    own_stack: bool = False
    finalist_seeds: int = 0


TUNERS = ("RandomSearch", "BayesianOptimization", "Hyperband")
KSCALE = Method("kscale")
FINALISTS = Method("kscale, 3 finalist seeds", finalist_seeds=3)
AS_SHIPPED = {tool: Method(f"{tool}, as shipped", tool) for tool in TUNERS}
LIMIT_OFF = {tool: Method(f"{tool}, limit off", tool, PATIENT) for tool in TUNERS}
OWN_STACK = {
    tool: Method(f"{tool}, limit off, fit", tool, PATIENT, own_stack=True)
    for tool in TUNERS
}


@dataclass(frozen=True)
class Search:
    """One search to run.

    Args:
        method: Name of the method.
        share: About how much of the space fits.
        limit: Most parameters.
        seed: From 0; KerasTuner's are a million apart.
        seconds: Wall clock.
        smoke: Whether it is of the small space.
    """

    method: str
    share: float
    limit: int
    seed: int
    seconds: float
    smoke: bool = False

    @property
    def space(self) -> Space:
        """The space to search."""
        return SMOKE if self.smoke else Space()


METHODS = {
    method.name: method
    for method in (
        KSCALE,
        FINALISTS,
        *(m for tool in TUNERS for m in (AS_SHIPPED[tool], LIMIT_OFF[tool])),
        *OWN_STACK.values(),
    )
}

Emit = Callable[..., None]


class TimeUp(Exception):
    """The wall clock of a search is over."""


def run_search(search: Search, output: Path) -> None:
    """Run a search and write what happened, with its second, to a file of JSON lines.

    TensorFlow, kscale, KerasTuner and the data are there before the clock starts.
    """
    import keras_tuner  # noqa: F401
    import tensorflow  # noqa: F401

    method, space = METHODS[search.method], search.space
    space.install()
    space.data  # noqa: B018
    kscale.tune, kscale.fit_model, kscale.as_hypermodel  # noqa: B018
    start = time.monotonic()

    def emit(kind: str, **what: Any) -> None:
        at = round(time.monotonic() - start, 3)
        append_row(output, {"at": at, "kind": kind, **what})

    run = _run_kscale if method.tool == "kscale" else _run_keras_tuner
    with (
        tempfile.TemporaryDirectory() as folder,
        open(os.devnull, "w") as silence,
        contextlib.redirect_stdout(silence),
    ):
        try:
            run(search, method, Path(folder), emit, lambda: time.monotonic() - start)
            emit("ended", how="exhausted")
        except TimeUp:
            emit("ended", how="time")
        except RuntimeError as error:
            if "consecutive failures" not in str(error):
                raise
            emit("ended", how="died")


def _run_kscale(
    search: Search, method: Method, folder: Path, emit: Emit, clock: Callable[[], float]
) -> None:
    class Stamps(kscale.Listener):
        tried = 0

        def result_recorded(self, result: kscale.Training | kscale.Reference) -> None:
            if isinstance(result, kscale.Reference) or result.family != FAMILY:
                return
            self.tried += result.stage == "search"
            point = [result.spec.depth, result.spec.width, result.learning_rate]
            if result.score is None:
                emit("failed")
            else:
                emit(result.stage, point=point, score=result.score)

    space, stamps = search.space, Stamps()
    kscale.tune(
        space.data,
        max_params=search.limit,
        family=FAMILY,
        trials=MOST_TRIALS,
        time_limit=search.seconds,
        epochs=space.epochs,
        batch_size=space.batch_size,
        seed=search.seed,
        finalist_seeds=method.finalist_seeds,
        run=folder / "run",
        listener=stamps,
    )
    inside = sum(params <= search.limit for params in space.params().values())
    if stamps.tried < inside:
        raise TimeUp


def _run_keras_tuner(
    search: Search, method: Method, folder: Path, emit: Emit, clock: Callable[[], float]
) -> None:
    import keras_tuner

    space = search.space
    steps = -(-len(space.data.train) // space.batch_size) * space.epochs
    hypermodel: Any = kscale.as_hypermodel(
        FAMILY, space.data.task, steps=steps, seed=search.seed
    )
    arguments: dict[str, Any] = {"epochs": space.epochs, "verbose": 0}
    if method.own_stack:
        x, y = (_arrays(space.data.train), _arrays(space.data.validation))
        arguments |= {"x": x[0], "y": x[1], "validation_data": y}
        arguments |= {"batch_size": space.batch_size}
    else:
        hypermodel = _same_trainer(hypermodel, search)
    length: dict[str, Any] = {"max_trials": MOST_TRIALS}
    if method.tool == "Hyperband":
        length = {"max_epochs": space.epochs, "hyperband_iterations": MOST_TRIALS}
    tuner = _timed(getattr(keras_tuner, method.tool), search.seconds, emit, clock)(
        hypermodel,
        objective=keras_tuner.Objective("val_accuracy", "max"),
        seed=1_000_000 * (search.seed + 1),
        max_model_size=search.limit,
        max_consecutive_failed_trials=method.failures,
        directory=str(folder),
        **length,
    )
    tuner.search(**arguments)


def _arrays(part: Any) -> tuple[Any, Any]:
    return next(iter(part.inputs.values()))[:], next(iter(part.targets.values()))


def _same_trainer(inner: Any, search: Search) -> Any:
    """The networks of a HyperModel, trained by the loop that `kscale.tune` uses."""
    import keras_tuner

    space = search.space

    class SameTrainer(keras_tuner.HyperModel):
        def build(self, hp: Any) -> Any:
            return inner.build(hp)

        def fit(
            self,
            hp: Any,
            model: Any,
            callbacks: Sequence[Any] = (),
            epochs: int = space.epochs,
            initial_epoch: int = 0,
            verbose: int = 0,
        ) -> dict[str, float]:
            for callback in callbacks:
                callback.set_model(model)

            def done(epoch: int, score: float) -> None:
                for callback in callbacks:  # KerasTuner's checkpoint, for Hyperband
                    callback.on_epoch_end(epoch - 1, {"val_accuracy": score})

            scores = kscale.fit_model(
                model,
                space.data,
                learning_rate=hp.get("learning_rate"),
                epochs=space.epochs,
                batch_size=space.batch_size,
                seed=search.seed,
                epochs_from=initial_epoch,
                epochs_to=epochs,
                on_epoch=done,
            )
            return {"val_accuracy": scores[-1]}

    return SameTrainer()


def _timed(tuner: Any, seconds: float, emit: Emit, clock: Callable[[], float]) -> Any:
    """A tuner that stamps the end of each trial and stops when time is up."""

    class Timed(tuner):
        def on_trial_end(self, trial: Any) -> None:
            try:
                super().on_trial_end(trial)
            finally:
                self._note(trial)
            if clock() > seconds:
                raise TimeUp

        def _note(self, trial: Any) -> None:
            values = trial.hyperparameters.values
            point = [values[name] for name in ("depth", "width", "learning_rate")]
            if trial.status == "COMPLETED":
                score = self.oracle.get_trial(trial.trial_id).score
                emit("search", point=point, score=float(score))
            elif "Oversized model" in (trial.message or ""):
                emit("oversized")
            else:
                emit("failed", reason=(trial.message or "")[-300:])

    return Timed


def row_of(search: Search, events: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """One row of what a search did; `found` has second, point, score and stage."""
    ended = [event for event in events if event["kind"] == "ended"]
    scored = [event for event in events if event["kind"] in ("search", "finalist")]
    failed = [event for event in events if event["kind"] == "failed"]
    return {
        **asdict(search),
        "ended": ended[0]["how"] if ended else "killed",
        "ended_at": ended[0]["at"] if ended else None,
        "found": [
            [event["at"], *event["point"], round(event["score"], 5), event["kind"]]
            for event in scored
        ],
        "oversized": [e["at"] for e in events if e["kind"] == "oversized"],
        "failed": [event["at"] for event in failed],
        "reason": failed[0].get("reason", "") if failed else "",
    }
