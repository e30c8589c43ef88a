"""The in-graph epoch trains as `fit` does, and equally on two devices."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest
from tuning.made_data import digits, made_loop, small_spec, weights_of
from warm_python import WarmPython

from kscale.building.models import Schedule
from kscale.data.loading import load_dataset
from kscale.engine.recipe import Recipe
from kscale.engine.tensorflow.compiling import make_optimizer
from kscale.engine.tensorflow.placing import network_target
from kscale.networks.families import find_family

RECIPE = Recipe(epochs=4, batch_size=64)

TWO_DEVICES = """
import json, sys
import keras
import numpy as np
import tensorflow as tf
cpus = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(
    cpus[0], [tf.config.LogicalDeviceConfiguration()] * 2
)
from tuning.made_data import digits, made_loop, run_epochs, weights_of
from kscale import Listener, plan, tune
from kscale.data.loading import load_dataset
from kscale.networks.families import find_family
from kscale.engine.base import Network
from kscale.engine.recipe import Recipe
from kscale.engine.tensorflow.devices import make_strategy
from kscale.engine.tensorflow.epochs import EpochProgram
from kscale.engine.tensorflow.placing import PlacedData

spec = find_family("cnn").spec(depth=1, width=8)
recipe = Recipe(epochs=4, batch_size=64)
found = {}
for name in ("none", "one", "mirrored"):
    loop = made_loop(spec, recipe, strategy=make_strategy(name))
    losses = run_epochs(loop, [recipe.order(1257, 1, epoch) for epoch in range(2)])
    outputs = loop.predict(digits().validation.inputs)[0]["label"]
    found[name] = {
        "replicas": loop.strategy.num_replicas_in_sync,
        "losses": losses,
        "weights": weights_of(loop).tolist(),
        "outputs": outputs.ravel().tolist(),
    }
# Larger than memory, in chunks of which the last is smaller.
streamed = load_dataset("digits", memory=0)
loop = made_loop(
    spec, recipe, streamed, make_strategy("mirrored"), chunk_bytes=4 * 64 * 64 * 4
)
found["chunks"] = len(list(loop.data.chunks(recipe.order(1257, 1, 0))))
losses = run_epochs(loop, [recipe.order(1257, 1, epoch) for epoch in range(2)])
found["streamed"] = {"losses": losses, "weights": weights_of(loop).tolist()}
# Where the examples lie, those that a thread reads ahead, too.
def devices_of_examples(data, strategy):
    chunks = PlacedData(data, strategy=strategy).chunks(recipe.order(1257, 1, 0))
    laid = [each for chunk in chunks for part in chunk[1:] for each in part.values()]
    parts = map(strategy.experimental_local_results, laid)
    return sorted({tuple(each.device[-5:] for each in part) for part in parts})
found["devices"] = [
    devices_of_examples(data, make_strategy(name))
    for data in (digits(), streamed)
    for name in ("CPU:1", "mirrored")
]
# Another network under the same strategy: one instance must serve a whole search.
changed = find_family("cnn").spec(depth=1, width=8, augment="shift+flip")
again = made_loop(changed, recipe, strategy=make_strategy("mirrored"))
found["again"] = run_epochs(again, [recipe.order(1257, 1, 0)])[0]

# Norms that see their replica's half of a batch: both replicas keep the mean.
def layers(seed):
    made = [keras.Input((8, 8, 1)), keras.layers.Flatten()]
    made += [keras.layers.BatchNormalization(), keras.layers.Dense(10)]
    return keras.Sequential(made)
mirrored = make_strategy("mirrored")
apart = Network(layers, again.network.size)
program = EpochProgram(apart, again.data, recipe, mirrored)
program.start([1], [1e-3])
program.run_epoch([recipe.order(1257, 1, 0)])
found["statistics"] = [
    [part.numpy().tolist() for part in mirrored.experimental_local_results(each.value)]
    for each in program.model.layers[1].non_trainable_variables
]

assert make_strategy("cpu:0, CPU:1") is make_strategy("mirrored")
assert make_strategy("CPU:1").extended.worker_devices[0].endswith("CPU:1")
# A search that trains a network on each device, is interrupted and goes on.
class Watch(Listener):
    def __init__(self):
        self.notes = []
    def note(self, text):
        self.notes.append(text)
    def result_recorded(self, result):
        if self.notes and result.stage == "search":
            raise KeyboardInterrupt

options = dict(max_params=900, family="mlp", trials=2, epochs=2, finalist_seeds=0)
options["searcher"] = "random"
watch = Watch()
try:
    tune("digits", run=sys.argv[1] + "/each", listener=watch, **options)
except KeyboardInterrupt as interrupted:
    found["interrupted"] = len(interrupted.run.trainings)
for name in ("each", "one"):
    run = tune("digits", run=sys.argv[1] + "/" + name, strategy=name, **options)
    found["search on " + name] = {
        t.key: [t.score, *t.curve["loss"]] for t in run.trainings
    }
found["notes"] = watch.notes
# Batches that are planned are those that two devices can share.
planned = plan("digits", strategy="mirrored", batch_size=63, **options)
found["planned"] = [planned.basis, *planned.notes]
json.dump(found, sys.stdout)
"""


@pytest.mark.parametrize(
    ("norm", "parametrization"), [("none", "mup"), ("batch", "standard")]
)
def test_an_epoch_gives_the_weights_that_fit_gives(
    norm: str, parametrization: str
) -> None:
    spec = small_spec(norm=norm)
    ours, theirs = (
        made_loop(spec, RECIPE, parametrization=parametrization) for _ in range(2)
    )
    factors = theirs.network.factors
    assert bool(factors) == (parametrization == "mup")
    order = RECIPE.order(len(digits().train), 1, 0)
    (loss,) = ours.run_epoch([order])
    model = theirs.model
    model.compile(
        make_optimizer(RECIPE, len(digits().train), 3e-3, 0.004, factors=factors),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    history = model.fit(
        digits().train.inputs["x"][order.ravel()],
        digits().train.targets["label"][order.ravel()],
        batch_size=RECIPE.batch_size,
        shuffle=False,
        verbose=0,
    )
    assert loss == pytest.approx(history.history["loss"][0], rel=1e-4)
    # Pixels that are nearly always 0 have gradients of the size of the rounding.
    np.testing.assert_allclose(weights_of(ours), weights_of(theirs), atol=3e-4)


def test_two_devices_train_what_one_device_trains(
    warm_python: WarmPython, tmp_path: Path
) -> None:
    done = warm_python.run_here(TWO_DEVICES, tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["mirrored"]["replicas"] == 2
    assert found["one"]["replicas"] == found["none"]["replicas"] == 1
    for name in ("one", "mirrored"):
        for figure in ("losses", "weights", "outputs"):
            np.testing.assert_allclose(
                found[name][figure], found["none"][figure], rtol=1e-3, atol=2e-4
            )
    assert found["chunks"] == 5
    for figure in ("losses", "weights"):
        np.testing.assert_allclose(
            found["streamed"][figure], found["mirrored"][figure], rtol=1e-5, atol=1e-6
        )
    assert found["devices"] == [[["CPU:1"]], [["CPU:0", "CPU:1"]]] * 2
    assert np.isfinite(found["again"])
    for first, second in found["statistics"]:
        assert first == second and np.abs(first).max() > 1e-3
    assert found["notes"] == [
        "Each of 2 devices trains networks of its own; --strategy mirrored shares each "
        "training."
    ]
    basis, note = found["planned"]
    assert basis.startswith("Measured now, by short trainings of 3 networks")
    assert note == "Batches have 62 examples in place of 63: 2 devices share each."
    each, one = found["search on each"], found["search on one"]
    assert 0 < found["interrupted"] < len(each) == len(one) == 3
    for key, figures in one.items():
        assert each[key] == pytest.approx(figures, rel=1e-4)


def test_streamed_chunks_have_as_many_examples_each_and_are_compiled() -> None:
    """XLA would compile a graph for each number of examples."""
    data = load_dataset("digits", memory=0)
    losses, some = [], np.arange(200, dtype=np.int32)
    order = RECIPE.order_of_some(some, len(data.train), 1, 0)
    for chunk, compiled in ((2**26, False), (6 * 64 * 64 * 4, True)):
        loop = made_loop(
            small_spec(), RECIPE, data, compiled=compiled, chunk_bytes=chunk
        )
        losses.append(loop.run_epoch([order])[0])
        assert loop.compiled is compiled
    counts = [inputs["x"].shape[0] for _, inputs, _ in loop.data.chunks(order)]
    assert len(np.unique(order[:6])) < counts[0] == counts[1] == counts[2] == 6 * 64
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)


def test_the_learning_rate_rises_stays_and_falls_to_nothing() -> None:
    schedule = Schedule(100, 0.1, warmup=0.1, cooldown=0.2)
    rates = np.array([float(schedule(step)) for step in range(100)])
    np.testing.assert_allclose(rates[:10], 0.1 * np.arange(1, 11) / 10, rtol=1e-5)
    np.testing.assert_allclose(rates[10:79], 0.1, rtol=1e-5)
    assert (np.diff(rates[80:]) < 0).all()
    assert 0 < rates[-1] < 0.01


def test_training_learns_the_digits() -> None:
    loop = made_loop(small_spec(width=12), RECIPE, learning_rate=0.02)
    for epoch in range(4):
        loop.run_epoch([RECIPE.order(len(digits().train), 1, epoch)])
    given = loop.predict(digits().validation.inputs)[0]["label"].argmax(axis=1)
    assert (given == digits().validation.targets["label"]).mean() > 0.75


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_recurrent_layers_with_masks_train_inside_the_graph(cell: str) -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(400) % 2
    # The first token says the class; noise and padding of any length follow.
    tokens = rng.integers(3, 6, (400, 7)) * (
        np.arange(7) < rng.integers(2, 8, (400, 1))
    )
    tokens[:, 0] = 1 + labels
    data = load_dataset((tokens.astype("int32"), labels))
    spec = find_family("rnn").spec(width=8, cell=cell, bidirectional=True)
    recipe = Recipe(epochs=6, batch_size=20)
    loop = made_loop(spec, recipe, data, learning_rate=0.02)
    for epoch in range(6):
        loop.run_epoch([recipe.order(len(data.train), 1, epoch)])
    given = loop.predict(data.validation.inputs)[0]["label"].argmax(axis=1)
    assert (given == data.validation.targets["label"]).mean() > 0.95


def test_real_targets_are_trained_on_in_units_of_their_spread() -> None:
    data = load_dataset("diabetes")
    name = data.task.targets[0].name
    scaled = network_target(data, name, data.train)
    assert abs(scaled.mean()) < 1e-3 and abs(scaled.std() - 1) < 1e-3
    loop = made_loop(find_family("mlp").spec(depth=1, width=8), RECIPE, data)
    (first,) = loop.run_epoch([RECIPE.order(len(data.train), 1, 0)])
    assert first == pytest.approx(1.0, abs=1.5)
