"""The built model is the network that was counted, and does what its records say."""

import re
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from contracts.family import (
    TASKS,
    check_size_equals_keras,
    example_inputs,
    paths_of,
    small_spec,
    task_for,
)
from warm_python import WarmPython

from kscale import building
from kscale.building.keras_calls import KERAS_CALLS
from kscale.building.models import build_model
from kscale.errors import SpecError
from kscale.naming import layer_name
from kscale.networks.blueprint import (
    BODY_INPUT,
    Add,
    Attention,
    Augmentation,
    BatchNorm,
    Blueprint,
    Concatenate,
    Conv2D,
    Costless,
    Dense,
    Dropout,
    Embedding,
    First,
    Flatten,
    GlobalAveragePool,
    Layer,
    LayerNorm,
    MaxPool2D,
    PaddingMask,
    Positions,
    Repeat,
)
from kscale.networks.families import FAMILIES
from kscale.networks.sizing import size_of, size_rows
from kscale.task.tasks import Input

X = Input("x", "vector", (4,))


def kinds_of(record: type[Layer]) -> set[type[Layer]]:
    """All kinds of records that kscale makes of a kind."""
    own = {each for each in record.__subclasses__() if "kscale" in each.__module__}
    return own.union(*map(kinds_of, own))


def test_every_record_is_built() -> None:
    assert kinds_of(Layer) - {Repeat, Augmentation, Costless} == KERAS_CALLS.keys()


def test_keras_is_imported_where_layers_are_made_and_weights_are_found() -> None:
    room = Path(building.__file__).parent
    found = {
        path.name
        for path in room.rglob("*.py")
        if re.search(r"^\s*(import|from) keras", path.read_text(), re.MULTILINE)
    }
    assert found == {"models.py", "backbone_weights.py"}


def train_one_step(model: keras.Model, x: Any, y: Any, loss: Any) -> None:
    # Eagerly: a graph takes longer to trace, and families are trained in graphs.
    model.compile("sgd", loss=loss, run_eagerly=True)
    history = model.fit(x, y, epochs=1, verbose=0)
    assert np.isfinite(history.history["loss"][0])


@pytest.mark.parametrize("shape", [(7, 9, 3), (28, 28, 1), (5, 6, 2)])
def test_convolutions_of_all_kinds_on_odd_images(shape: tuple[int, ...]) -> None:
    layers = (
        Conv2D(4, 3, strides=2, name="a"),
        Conv2D(5, 3, padding="valid", use_bias=False, name="b"),
        BatchNorm(name="n"),
        Conv2D(3, 1, name="c", inputs=("a",)),
        MaxPool2D(name="m"),
        Flatten(name="f"),
        Dense(2, name="d"),
        GlobalAveragePool(name="g", inputs=("n",)),
        Concatenate(name="j", inputs=("d", "g")),
    )
    blueprint = Blueprint((Input("x", "image", shape),), layers, ("j",))
    model = check_size_equals_keras(blueprint)
    for row in size_rows(blueprint):
        built = model.get_layer(layer_name(row.path))
        assert built.output.shape[1:] == row.shape


def test_copies_are_numbered_from_the_start_of_the_repeat() -> None:
    first = Repeat((Dense(4, name="d"),), 1, shared=True, name="block1")
    rest = Repeat((Dense(4, name="d"),), 3, start=2, name="block")
    blueprint = Blueprint((X,), (first, rest), ("block",))
    model = check_size_equals_keras(blueprint)
    names = [layer.name for layer in model.layers[1:]]
    assert names == ["block1.d", "block2.d", "block3.d", "block4.d"]
    rows = [(row.path, row.copies) for row in size_rows(blueprint)]
    assert rows == [("block1/d", 1), ("block2-4/d", 3)]


def two_in_two_out() -> Blueprint:
    """An image and a vector; a trunk with a residual; a class and a number out."""
    layers = (
        Conv2D(4, 3, name="conv", inputs=("image",)),
        GlobalAveragePool(name="pool"),
        Dense(4, name="dense", inputs=("vector",)),
        Concatenate(name="both", inputs=("pool", "dense")),
        Dense(8, activation="relu", name="trunk"),
        Add(name="residual", inputs=("both", "trunk")),
        Dense(3, name="head/label", inputs=("residual",)),
        Dense(1, name="head/value", inputs=("residual",)),
    )
    inputs = (Input("image", "image", (5, 7, 1)), Input("vector", "vector", (6,)))
    return Blueprint(inputs, layers, ("head/label", "head/value"))


def test_two_inputs_and_two_outputs() -> None:
    model = check_size_equals_keras(two_in_two_out())
    rng = np.random.default_rng(0)
    x = {"image": rng.normal(size=(4, 5, 7, 1)), "vector": rng.normal(size=(4, 6))}
    y = {"head.label": np.array([0, 1, 2, 0]), "head.value": np.ones((4, 1))}
    assert {name: out.shape for name, out in model.predict(x, verbose=0).items()} == {
        "head.label": (4, 3),
        "head.value": (4, 1),
    }
    crossentropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    loss = {"head.label": crossentropy, "head.value": "mse"}
    train_one_step(model, x, y, loss)


def test_shared_copies_are_one_set_of_weights() -> None:
    body = (
        Dense(4, activation="tanh", name="d"),
        Repeat((BatchNorm(name="n"),), 2, name="twice"),
        Dropout(0.1, name="drop"),
        Add(name="sum", inputs=("drop", BODY_INPUT)),
    )
    repeat = Repeat(body, 3, shared=True, name="r")
    blueprint = Blueprint((X,), (repeat, Dense(2, name="head")), ("head",))
    model = check_size_equals_keras(blueprint)
    assert model.count_params() == 20 + 2 * 16 + 10
    # The same as applying the one dense layer three times by hand.
    x = np.random.default_rng(0).normal(size=(5, 4)).astype("float32")
    kernel = model.get_layer("r.d").get_weights()[0]
    scale = 1 / (1 + 1e-3)  # two fresh norms: each divides by sqrt(1 + epsilon)
    expected = x
    for _ in range(3):
        expected = expected + np.tanh(expected @ kernel) * scale
    head, bias = model.get_layer("head").get_weights()
    np.testing.assert_allclose(model(x), expected @ head + bias, atol=1e-5)
    train_one_step(model, x, np.zeros((5, 2)), "mse")


def test_a_pool_may_stand_in_a_shared_repeat() -> None:
    body = (
        GlobalAveragePool(name="pool", inputs=("image",)),
        Add(name="sum", inputs=(BODY_INPUT, "pool")),
    )
    layers = (
        Dense(6, name="image"),
        GlobalAveragePool(name="start"),
        Repeat(body, 2, shared=True, name="r"),
    )
    blueprint = Blueprint((Input("x", "image", (4, 4, 2)),), layers, ("r",))
    model = check_size_equals_keras(blueprint)
    x = np.random.default_rng(0).normal(size=(2, 4, 4, 2))
    means = x.mean(axis=(1, 2)) @ model.get_layer("image").get_weights()[0]
    np.testing.assert_allclose(model(x), 3 * means, atol=1e-5)


def encoder_decoder() -> Blueprint:
    """A translator: the decoder's copies all read the encoder's memory and mask."""
    encoder = (
        Attention(8, 2, name="attention", inputs=(BODY_INPUT, BODY_INPUT, "mask")),
        Add(name="add", inputs=(BODY_INPUT, "attention")),
        LayerNorm(name="norm"),
    )
    itself = (BODY_INPUT, BODY_INPUT)
    decoder = (
        Attention(8, 2, causal=True, name="attention", inputs=itself),
        Add(name="add1", inputs=(BODY_INPUT, "attention")),
        Attention(8, 2, name="cross", inputs=("add1", "encoder", "mask")),
        Add(name="add2", inputs=("add1", "cross")),
        LayerNorm(name="norm"),
    )
    layers = (
        PaddingMask(name="mask", inputs=("source",)),
        Embedding(7, 8, name="embed_source", inputs=("source",)),
        Repeat(encoder, 2, name="encoder"),
        Positions(name="positions", inputs=("target",)),
        Embedding(4, 8, name="embed_positions"),
        Embedding(9, 8, name="embed_target", inputs=("target",)),
        Add(name="embedded", inputs=("embed_target", "embed_positions")),
        Repeat(decoder, 3, name="decoder"),
        Dense(9, name="head"),
    )
    inputs = (
        Input("source", "tokens", (5,), 7),
        Input("target", "tokens", (4,), 9),
    )
    return Blueprint(inputs, layers, ("head",))


def test_an_encoder_decoder_reads_its_memory_and_not_the_future() -> None:
    model = check_size_equals_keras(encoder_decoder())
    source = np.array([[3, 1, 4, 0, 0]])
    target = np.array([[5, 2, 6, 1]])

    def outputs(source: Any, target: Any) -> Any:
        return np.asarray(model({"source": source, "target": target}))

    base = outputs(source, target)
    later = outputs(source, np.array([[5, 2, 6, 8]]))
    np.testing.assert_allclose(later[:, :3], base[:, :3], atol=1e-6)
    assert np.abs(later[:, 3] - base[:, 3]).max() > 1e-3
    earlier = outputs(source, np.array([[8, 2, 6, 1]]))
    assert np.abs(earlier[:, 3] - base[:, 3]).max() > 1e-4
    other_source = outputs(np.array([[3, 1, 5, 0, 0]]), target)
    assert np.abs(other_source - base).max() > 1e-4
    crossentropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    x = {"source": source, "target": target}
    train_one_step(model, x, target, crossentropy)


def attention_model(seed: int = 0) -> keras.Model:
    layers = (Attention(64, 4, name="a", inputs=("x", "x")),)
    blueprint = Blueprint((Input("x", "sequence", (3, 64)),), layers, ("a",))
    return build_model(blueprint, seed)


def test_attention_starts_with_four_different_kernels_of_glorots_spread() -> None:
    layer = attention_model().get_layer("a")
    kernels = [weight for weight in layer.get_weights() if weight.ndim == 3]
    flat = [kernel.ravel() for kernel in kernels]
    assert len(flat) == 4
    correlations = np.corrcoef(flat)[np.triu_indices(4, k=1)]
    # 4096 numbers each: chance correlations have a deviation of 0.016.
    assert np.abs(correlations).max() < 0.1
    for kernel in flat:
        # Glorot: sqrt(2 / (64 + 64)); the deviation is known to 1 % here.
        assert kernel.std() == pytest.approx(0.125, rel=0.05)


def test_seeds_decide_attention_too() -> None:
    first, again, other = (
        np.concatenate([weight.ravel() for weight in attention_model(n).get_weights()])
        for n in (1, 1, 2)
    )
    assert np.array_equal(first, again)
    assert np.corrcoef(first, other)[0, 1] < 0.1


def test_equal_layers_start_different() -> None:
    repeat = Repeat((Dense(4, name="d"),), 2, name="r")
    model = build_model(Blueprint((X,), (repeat,), ("r",)))
    first, second = (model.get_layer(f"r{n}.d").get_weights()[0] for n in (1, 2))
    assert not np.array_equal(first, second)


def test_empty_text_is_no_division_by_zero() -> None:
    for family in ("linear", "rnn", "transformer"):
        spec = FAMILIES[family].spec()
        model = build_model(FAMILIES[family].blueprint(spec, TASKS["tokens"]))
        assert np.isfinite(model(np.zeros((2, 6), "int32"))).all()


def test_the_first_position_and_the_positions() -> None:
    layers = (Positions(name="p"), Embedding(3, 2, name="e"), First(name="f"))
    blueprint = Blueprint((Input("x", "tokens", (3,), 9),), layers, ("e", "f"))
    model = check_size_equals_keras(blueprint)
    table = model.get_layer("e").get_weights()[0]
    out = model(np.array([[7, 0, 2]]))
    np.testing.assert_array_equal(out["e"][0], table)
    np.testing.assert_array_equal(out["f"][0], table[0])


def test_embeddings_start_with_the_spread_asked_for() -> None:
    layers = (Embedding(999, 64, stddev=0.5, name="e"),)
    model = build_model(Blueprint((Input("x", "tokens", (3,), 999),), layers, ("e",)))
    table = model.get_layer("e").get_weights()[0]
    # A normal cut at two deviations has 0.8796 of its deviation, known to 0.3 % here.
    assert table.std() == pytest.approx(0.8796 * 0.5, rel=0.02)
    assert 0.95 < np.abs(table).max() <= 1


def test_batch_statistics_are_shared_when_asked() -> None:
    blueprint = Blueprint((X,), (BatchNorm(name="n"),), ("n",))
    for synchronized in (False, True):
        model = build_model(blueprint, synchronized=synchronized)
        assert model.get_layer("n").synchronized is synchronized


def test_layers_before_the_outputs_compute_in_bfloat16_when_asked() -> None:
    for name, kind in (("cnn", "image"), ("transformer", "tokens")):
        blueprint = FAMILIES[name].blueprint(small_spec(FAMILIES[name]), TASKS[kind])
        exact, half = (
            build_model(blueprint, 7, precision=precision)
            for precision in ("float32", "bfloat16")
        )
        computed = {
            layer.compute_dtype
            for layer in half.layers
            if layer.count_params() and layer.name not in blueprint.outputs
        }
        assert computed == {"bfloat16"}
        x = example_inputs(TASKS[kind], 3)
        outputs = [np.asarray(model(x)) for model in (exact, half)]
        assert outputs[1].dtype == np.float32
        assert 0 < np.abs(outputs[0] - outputs[1]).max() < 0.05
        for one, other in zip(exact.variables, half.variables, strict=True):
            np.testing.assert_array_equal(one, other)
            assert one.dtype == other.dtype
    assert keras.config.dtype_policy().name == "float32"


def test_names_hold_for_nested_and_shared_copies() -> None:
    inner = Repeat((Dense(4, name="d"),), 2, name="inner")
    one = Repeat((inner, Dense(4, name="e")), 2, shared=True, name="one")
    two = Repeat((inner, Dense(4, name="e")), 2, name="two")
    model = check_size_equals_keras(Blueprint((X,), (one, two), ("two",)))
    names = {layer.name for layer in model.layers} - {"x"}
    assert names == {layer_name(path) for path in paths_of((one, two))}
    assert {"one.inner2.d", "two1.inner2.d", "two2.e"} <= names


def test_a_layer_that_reads_an_unknown_name_is_not_built() -> None:
    layers = (Dense(3, name="a", inputs=("nowhere",)),)
    with pytest.raises(SpecError, match="reads 'nowhere'"):
        build_model(Blueprint((X,), layers, ("a",)))


OPEN = """
import sys
sys.modules["kscale"] = None
import keras, numpy as np
folder = sys.argv[1]
for name in sys.argv[2:]:
    arrays = np.load(f"{folder}/{name}.npz")
    model = keras.models.load_model(f"{folder}/{name}.keras")
    given = {name: arrays[name] for name in arrays.files if name != "y"}
    given = model(given.get("x", given))
    np.testing.assert_allclose(given, arrays["y"], atol=1e-5)
    assert all(layer.__module__.startswith("keras.") for layer in model.layers)
print("opened", len(sys.argv) - 2)
"""


def test_saved_models_open_where_kscale_is_not_installed(
    tmp_path: Path, warm_python: WarmPython
) -> None:
    names = []
    for family in FAMILIES.values():
        kind = family.kinds[-1]
        sizes = {"depth": 1, "width": 8} if "depth" in family.all_knobs else {}
        spec = small_spec(family, **sizes)
        task = task_for(family, kind)
        model = build_model(family.blueprint(spec, task))
        x = example_inputs(task, 3)
        arrays = x if isinstance(x, dict) else {"x": x}
        for ids in arrays.values() if kind == "tokens" else ():
            ids[:, -2:] = 0
        np.savez(tmp_path / f"{family.name}.npz", y=model(x), **arrays)
        model.save(tmp_path / f"{family.name}.keras")
        names.append(family.name)
    result = warm_python.run(OPEN, tmp_path, *names)
    assert result.stdout == f"opened {len(names)}\n", result.stderr


def test_sizes_of_the_graphs_are_those_of_their_rows() -> None:
    for blueprint in (two_in_two_out(), encoder_decoder()):
        rows = size_rows(blueprint)
        assert sum(row.params for row in rows) == size_of(blueprint).params
        assert sum(row.flops for row in rows) == size_of(blueprint).flops
