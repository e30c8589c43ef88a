"""Any Keras model is counted as a blueprint is, and as its papers say."""

import json
from typing import Any

import keras
import pytest
from contracts.family import TASKS, small_spec, task_for

from kscale import count_model, size_of
from kscale.building.models import build_model
from kscale.errors import SpecError
from kscale.networks.families import FAMILIES
from kscale.networks.families.base import Family
from kscale.reports.size_tables import ModelSize
from kscale.task.tasks import InputKind

PAIRS = [
    pytest.param(family, kind, id=f"{family.name}-{kind}")
    for family in FAMILIES.values()
    for kind in family.kinds
]
CONVOLUTIONS = ("Conv2D", "DepthwiseConv2D", "SeparableConv2D", "Dense")
MILLION = 10**6


@pytest.mark.parametrize(("family", "kind"), PAIRS)
def test_a_built_network_has_the_size_of_its_blueprint(
    family: Family, kind: InputKind
) -> None:
    blueprint = family.blueprint(small_spec(family), task_for(family, kind))
    shapes = [item.shape for item in blueprint.inputs]
    size, found = size_of(blueprint), count_model(build_model(blueprint), shapes)
    assert not found.unknown
    figures = ["params", "trainable", "flops", "activation_bytes"]
    # A backbone's table leaves out the image that is resized before it; Keras embeds
    # what the decoder reads before the encoder has ended, and makes several layers of a
    # convolution that leaves out padding.
    several = family.name in ("pretrained", "seq2seq") or (
        (family.name, kind) == ("cnn", "tokens")
    )
    for figure in figures[: 3 if several else 4]:
        assert getattr(found.size, figure) == getattr(size, figure), figure
    assert sum(row.params for row in found.rows) == size.params
    assert sum(row.flops for row in found.rows) == size.flops


def abstract(name: str, **arguments: Any) -> keras.Model:
    """A network of `keras.applications` whose weights have no values."""
    make = getattr(keras.applications, name)
    with keras.StatelessScope(initialize_variables=False):
        return make(weights=None, **arguments)


# Multiply-adds, in millions, of one image of 224 x 224, as published. All four count
# convolutions and dense layers only, and so do we: norms, activations and the scaling
# inside EfficientNet are element-wise and not counted, a FLOP is half a multiply-add.
PUBLISHED = {
    # Simonyan & Zisserman give no figure; torchvision's table for VGG16 has 15.47.
    "VGG16": (15_470, 0),
    # Sandler et al. 2018, table 4, and torchvision (0.30).
    "MobileNetV2": (300, 0),
    # Tan & Le 2019, table 2, has 0.39 billion; torchvision's 0.386 adds no more digits.
    "EfficientNetB0": (386, 0),
    # torchvision's 4.09 is for the variant that halves in the 3x3 convolution. Keras'
    # halves in the 1x1 before it (He et al. 2015, which gives 3.8), and so computes a
    # quarter of three of those 1x1 convolutions: 56^2 x 256 x 128 instead of
    # 28^2 x 256 x 128, and the same product in the two stages after it.
    "ResNet50": (4_090, 3 * 3 * 28**2 * 256 * 128 / MILLION),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_multiply_adds_are_the_published_ones(name: str) -> None:
    published, left_out = PUBLISHED[name]
    found = count_model(abstract(name))
    assert not found.unknown
    products = sum(row.flops for row in found.rows if row.kind in CONVOLUTIONS)
    assert products == found.size.flops
    assert found.size.flops / 2 / MILLION + left_out == pytest.approx(
        published, rel=0.01
    )


def test_params_are_those_of_keras_applications() -> None:
    for name in ("MobileNet", "ResNet50V2", "Xception"):
        model = abstract(name)
        assert count_model(model).size.params == model.count_params()


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    sorted(
        name
        for name, make in vars(keras.applications).items()
        if callable(make) and name[0].isupper()
    ),
)
def test_params_are_those_of_every_network_of_keras_applications(name: str) -> None:
    model = abstract(name)
    found = count_model(model, (224, 224, 3) if None in model.input_shape[1:] else None)
    assert found.size.params == model.count_params()
    assert not found.unknown and found.size.flops > 0


def test_nested_and_shared_models_count_their_weights_once() -> None:
    inner = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(3, name="dense")], name="twin"
    )
    left, right = keras.Input((4,)), keras.Input((4,))
    apart = keras.layers.Subtract(name="apart")([inner(left), inner(right)])
    outputs = keras.layers.Dense(2, name="head")(apart)
    found = count_model(keras.Model([left, right], outputs, name="twins"))
    rows = {row.path: (row.params, row.flops, row.copies) for row in found.rows}
    assert rows["twin/dense"] == (15, 2 * (2 * 4 * 3), 2)
    assert rows["head"] == (8, 2 * 3 * 2, 1)
    assert found.size.params == 23
    # Two inputs of 4, two outputs of 3 and their difference, while that is made.
    assert found.size.activation_bytes == 4 * (8 + 6 + 3)


def test_frozen_layers_are_not_trainable() -> None:
    base = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    base.trainable = False
    model = keras.Sequential([keras.Input((4,)), base, keras.layers.Dense(2)])
    size = count_model(model).size
    assert (size.params, size.trainable) == (23, 8)


class Doubled(keras.layers.Dense):
    """A subclass computes what it likes."""

    def call(self, inputs: Any) -> Any:
        return super().call(inputs) + super().call(inputs)


def test_what_is_unknown_is_said_and_never_guessed() -> None:
    layers = [keras.Input((4,)), keras.layers.Dense(3, name="known"), Doubled(2)]
    found = count_model(keras.Sequential(layers))
    assert found.unknown == (layers[2].name,)
    assert found.size.params == 15 + 8
    assert found.size.flops == 2 * 4 * 3
    text = found.to_text()
    assert "without a layer of unknown cost: doubled" in text
    assert "unknown" in text and "at least 24" in text
    document = found.to_json()
    assert document["unknown_flops"] == list(found.unknown)
    assert document["layers"][-1]["flops"] is None
    json.dumps(document, allow_nan=False)


def test_a_model_with_a_call_of_its_own_is_one_unknown_row() -> None:
    class Own(keras.Model):
        def __init__(self) -> None:
            super().__init__(name="own")
            self.dense = keras.layers.Dense(3)
            self.dense.build((None, 4))

        def call(self, inputs: Any) -> Any:
            return self.dense(inputs)

    model = Own()
    with pytest.raises(SpecError, match="'own' is not built: call it"):
        count_model(model)
    model.built = True
    found = count_model(model)
    assert found.unknown == ("own",)
    assert found.size.params == model.count_params() == 15


def test_open_sides_are_asked_for_and_taken() -> None:
    model = abstract("MobileNetV2", alpha=0.35, include_top=False)
    with pytest.raises(SpecError, match=r"open, \?x\?x3: give .* --input 224x224x3"):
        count_model(model)
    with pytest.raises(SpecError, match=r"takes \?x\?x3, not 96x96x1"):
        count_model(model, (96, 96, 1))
    whole = abstract(
        "MobileNetV2", alpha=0.35, include_top=False, input_shape=[96] * 2 + [3]
    )
    assert count_model(model, (96, 96, 3)).size == count_model(whole).size


@pytest.mark.parametrize("shape", [(-3, 5), (0, 5), (3.5, 5), ("3", 5), 5, "3x5"])
def test_a_shape_has_positive_whole_sides(shape: Any) -> None:
    inputs = keras.Input((None, 5))
    with pytest.raises(SpecError, match="positive whole number for each side") as told:
        count_model(keras.Model(inputs, inputs * 2), shape)
    assert repr(shape) in str(told.value)


def two_inputs(*shapes: tuple[int | None, ...]) -> keras.Model:
    """Dense layers on several inputs, each with as many weights as it has features."""
    inputs = [keras.Input(shape) for shape in shapes]
    heads = [keras.layers.Dense(1, use_bias=False)(each) for each in inputs]
    return keras.Model(inputs, heads)


def test_one_shape_is_for_all_open_inputs_and_several_for_each() -> None:
    model = two_inputs((None, 4), (None, 4))
    with pytest.raises(SpecError, match=r"\?x4 and \?x4: .* example, --input 128x4\.$"):
        count_model(model)
    assert count_model(model, (10, 4)).size.flops == 2 * (10 + 10) * 4
    assert count_model(model, [(10, 4), (7, 4)]).size.flops == 2 * (10 + 7) * 4
    with pytest.raises(
        SpecError, match=r"takes \?x4 and \?x4, not 10x5 and 10x5: give"
    ):
        count_model(model, (10, 5))
    with pytest.raises(SpecError, match="not 1x4 and 1x4 and 1x4: give"):
        count_model(model, [(1, 4)] * 3)


def test_a_shape_is_for_what_is_open_only() -> None:
    model = two_inputs((None, 4), (6,))
    assert count_model(model, (10, 4)).size.flops == 2 * (10 * 4 + 6)
    assert count_model(model, [(3, 4), (6,)]).size.flops == 2 * (3 * 4 + 6)
    different = two_inputs((None, 4), (None, None, 3))
    with pytest.raises(SpecError, match="--input 128x4 --input 224x224x3"):
        count_model(different)
    assert count_model(different, [(2, 4), (2, 2, 3)]).size.flops == 2 * (8 + 12)


def test_a_reshape_that_does_not_fit_is_one_line() -> None:
    inputs = keras.Input((None, 3))
    model = keras.Model(inputs, keras.layers.Reshape((-1, 6))(inputs))
    assert count_model(model, (4, 3)).rows[-1].shape == (2, 6)
    with pytest.raises(SpecError, match="cannot take 3x3: The total size") as told:
        count_model(model, (3, 3))
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("given", [5, None, keras.layers.Dense(3)])
def test_only_a_model_or_its_file_is_counted(given: Any) -> None:
    with pytest.raises(SpecError, match="model or the path of a .keras file") as told:
        count_model(given)
    assert f"but got {type(given).__name__}; " in str(told.value)


def test_beyond_three_inputs_the_title_counts_them() -> None:
    for number, title in ((3, "1 and 1 and 1"), (4, "4 inputs")):
        inputs = [keras.Input(()) for _ in range(number)]
        found = count_model(keras.Model(inputs, keras.ops.stack(inputs, 1), name="m"))
        assert found.title == f"m: Keras model of {title}"


def test_json_has_the_keys_of_every_other_size() -> None:
    found = count_model(keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)]))
    blueprint = FAMILIES["linear"].blueprint(FAMILIES["linear"].spec(), TASKS["vector"])
    others = ModelSize("", size_of(blueprint), ()).to_json().keys()
    assert found.to_json().keys() == others | {"stored_bytes"}
