"""Ways to train a network: each gives the seconds of the epochs that were run."""

import contextlib
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any

import keras
import keras_tuner
import tensorflow as tf

from kscale.engine.base import Program
from kscale.engine.engines import make_engine
from kscale.engine.tensorflow.epochs import EpochProgram
from speed.cases import RATE, Case, digits

MEMBERS = 8
MEASURED = 3  # epochs of a training, the first of which holds tracing and compiling

Seconds = list[float]


class Clock(keras.callbacks.Callback):  # type: ignore[misc]
    """Seconds of each epoch of a `fit`; KerasTuner's copies of it are the clock too."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: Seconds = []

    def __deepcopy__(self, memo: dict[int, Any]) -> "Clock":
        return self

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Start."""
        self.started = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Stop."""
        self.seconds.append(time.perf_counter() - self.started)


def by_fit(case: Case, seed: int) -> Seconds:
    """Keras' own loop, on arrays in memory."""
    x, y = case.arrays("train")
    clock, model = Clock(), case.compiled_model(seed)
    how = {"batch_size": case.recipe.batch_size, "verbose": 0}
    model.fit(x, y, epochs=MEASURED, callbacks=[clock], **how)
    model.predict(case.arrays("validation")[0], verbose=0)
    return clock.seconds


def by_keras_tuner(case: Case, seed: int) -> Seconds:
    """A trial of KerasTuner, which scores and writes a checkpoint after each epoch."""
    clock, (x, y) = Clock(), case.arrays("train")
    with tempfile.TemporaryDirectory() as folder, silence():
        tuner = keras_tuner.RandomSearch(
            lambda hp: case.compiled_model(hp.Fixed("seed", seed)),
            objective="val_loss",
            max_trials=1,
            seed=1 + seed,
            directory=folder,
        )
        tuner.search(
            x,
            y,
            validation_data=case.arrays("validation"),
            batch_size=case.recipe.batch_size,
            epochs=MEASURED,
            callbacks=[clock],
            verbose=0,
        )
    return clock.seconds


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """Nothing on standard output inside: KerasTuner prints."""
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        yield


def by_graph(case: Case, seed: int) -> Seconds:
    """An epoch as one graph, made by autograph, with Keras' AdamW."""
    model, optimizer = case.model(seed), case.optimizer()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    weights = model.trainable_variables
    optimizer.build(weights)
    x, y = map(tf.constant, case.arrays("train"))

    @tf.function  # type: ignore[untyped-decorator]
    def epoch(order: Any) -> Any:
        total = tf.constant(0.0)
        for step in tf.range(tf.shape(order)[0]):
            chosen = order[step]
            with tf.GradientTape() as tape:
                outputs = model(tf.gather(x, chosen), training=True)
                value = loss(tf.gather(y, chosen), outputs)
            optimizer.apply(tape.gradient(value, weights), weights)
            total += value
        return total

    seconds = timed(lambda number: float(epoch(tf.constant(case.order(seed, number)))))
    tf.function(lambda x: model(x, training=False))(case.arrays("validation")[0])
    return seconds


def by_engine(case: Case, seed: int) -> Seconds:
    """kscale's engine, as a search trains."""
    return _by_program(case, [seed])


def by_population(case: Case, seed: int) -> Seconds:
    """Several networks in one program of the engine, from as many seeds."""
    return _by_program(case, range(seed * MEMBERS, (seed + 1) * MEMBERS))


def _by_program(case: Case, seeds: Sequence[int]) -> Seconds:
    placed, engine = placed_for(case)
    networks = [case.network] * len(seeds)
    return trained(engine.program(networks, placed, case.recipe), case, seeds)


def by_xla(case: Case, seed: int) -> Seconds:
    """kscale's engine, XLA compiling the epoch wherever the engine would not."""
    return trained(_compiled(case), case, [seed])


@cache
def _compiled(case: Case) -> EpochProgram:
    """A program that is kept, as the engine keeps programs."""
    placed, engine = placed_for(case)
    return EpochProgram(case.network, placed, case.recipe, engine.strategy, True)


@cache
def _engine() -> Any:
    return make_engine("auto")


@cache
def _placed(as_tokens: bool) -> Any:
    return _engine().place(digits(as_tokens))


def placed_for(case: Case) -> tuple[Any, Any]:
    """The data on the device, and the engine: a search has both once."""
    return _placed(case.family == "transformer"), _engine()


def trained(program: Program, case: Case, seeds: Sequence[int]) -> Seconds:
    """Seconds of each epoch of a program."""
    program.start(seeds, [RATE] * len(seeds))
    seconds = timed(
        lambda number: program.run_epoch([case.order(s, number) for s in seeds])
    )
    program.predict(case.data.validation.inputs)
    program.close()
    return seconds


def timed(run: Callable[[int], object]) -> Seconds:
    """Seconds of each epoch that is measured: more of them where they are short."""
    seconds: Seconds = []
    while len(seconds) < MEASURED or (sum(seconds[1:]) < 0.3 and len(seconds) < 10):
        start = time.perf_counter()
        run(len(seconds))
        seconds.append(time.perf_counter() - start)
    return seconds


WAYS: dict[str, Callable[[Case, int], Seconds]] = {
    "fit": by_fit,
    "KerasTuner": by_keras_tuner,
    "graph": by_graph,
    "kscale": by_engine,
    "XLA": by_xla,
    "8 at once": by_population,
}
"""Ways to train, by name."""
