"""Channels: what remains of a network is the network, whatever ties its layers."""

from typing import Any

import keras
import numpy as np
import pytest
from contracts.family import TASKS

from kscale.building.models import build_model
from kscale.errors import SpecError
from kscale.networks import blueprint as bp
from kscale.networks.blueprint import Blueprint
from kscale.networks.families import FAMILIES
from kscale.ship.compressing.channels import ChannelMap, kept_channels, narrowed
from kscale.ship.compressing.cutting import weights_by_layer
from kscale.task.tasks import Input, InputKind, Target, Task

L1 = lambda kernel: np.abs(kernel).sum(axis=0, dtype=np.float64)  # noqa: E731

CASES: list[tuple[str, InputKind, dict[str, Any], dict[str, Any]]] = [
    ("mlp", "image", {}, {"width": 5}),
    ("mlp", "tokens", {"embedding_width": 4}, {"width": 5}),
    ("cnn", "image", {"head_units": 12}, {"width": 3, "head_units": 7}),
    ("cnn", "spectrogram", {"norm": "none"}, {"width": 5}),
    ("cnn", "tokens", {"kernels": "1+2+3"}, {"width": 3}),
    ("resnet", "image", {"stages": 2}, {"width": 5}),
    (
        "resnet",
        "image",
        {"block": "bottleneck", "norm": "post", "stages": 2},
        {"width": 3},
    ),
    ("mobilenet", "image", {"expansion": 2, "squeeze": 2}, {"width": 4}),
    ("mobilenet", "image", {"expansion": 1}, {"width": 3}),
    ("rnn", "tokens", {"residual": False}, {"width": 5}),
    (
        "rnn",
        "sequence",
        {"residual": False, "cell": "gru", "bidirectional": True},
        {"width": 3},
    ),
    ("transformer", "tokens", {"mlp_ratio": 4}, {"mlp_ratio": 1}),
    ("transformer", "tokens", {"shared": True, "norm": "post"}, {"mlp_ratio": 2}),
    ("vit", "image", {"pooling": "token"}, {"mlp_ratio": 1}),
]
"""Family, input, knobs, and the knobs of what is narrower. Norms over all features see
whether one is gone, so that the stream of an encoder is as wide as it was."""


def made(blueprint: Blueprint) -> keras.Model:
    """A network none of whose weights is as it starts."""
    model, rng = build_model(blueprint), np.random.default_rng(0)
    for weight in model.weights:
        if weight.dtype == "float32":
            weight.assign(rng.uniform(0.1, 0.5, weight.shape) * rng.choice([-1, 1]))
        if "variance" in weight.name:
            weight.assign(np.abs(weight))
    return model


def inputs(task: Task) -> Any:
    """Random examples."""
    rng, (item,) = np.random.default_rng(1), task.inputs
    if item.kind == "tokens":
        return rng.integers(0, item.vocabulary, (3, *item.shape))
    return rng.normal(size=(3, *item.shape)).astype("float32")


def filled(blueprint: Blueprint, weights: dict[str, list[Any]]) -> keras.Model:
    """The network with weights."""
    model = build_model(blueprint)
    for name, arrays in weights.items():
        layer = model.get_layer(name)
        layer.set_weights(
            [a.reshape(w.shape) for a, w in zip(arrays, layer.weights, strict=True)]
        )
    return model


def with_dead(
    wide: Blueprint, narrow: Blueprint, weights: dict[str, list[Any]]
) -> dict[str, list[Any]]:
    """Weights in which as many channels are 0 as the narrow network is without."""
    channels, rng = ChannelMap(wide), np.random.default_rng(2)
    is_kept = kept_channels(
        channels, ChannelMap(narrow), weights, lambda kernel: rng.random(len(kernel.T))
    )
    found: dict[str, list[Any]] = {}
    for name, of_layer in channels.weights.items():
        found[name] = []
        for weight, array in zip(of_layer, weights[name], strict=True):
            cut = array.reshape([-1 if a is None else len(a) for a in weight.axes])
            for place, axis in enumerate(weight.axes):
                if axis is not None:
                    others = [1] * (cut.ndim - place - 1)
                    cut = cut * is_kept[axis].reshape(-1, *others)
            found[name].append(cut.astype("float32").reshape(array.shape))
    return found


@pytest.mark.parametrize(
    ("name", "knobs", "fewer"),
    [
        ("rnn", {"bidirectional": True, "residual": False}, {"width": 5}),
        ("transformer", {"convolution": 3}, {"mlp_ratio": 2}),
    ],
)
def test_dead_channels_of_networks_of_transcripts_leave(
    name: str, knobs: dict[str, Any], fewer: dict[str, Any]
) -> None:
    item = Input("sound", "spectrogram", (12, 5))
    target = Target("text", "characters", 4, ("", " ", "a", "b"), length=3)
    family, task = FAMILIES[name], Task((item,), (target,))
    spec = family.spec(depth=2, width=8, stacked=2, **knobs)
    wide = family.blueprint(spec, task)
    narrow = family.blueprint(spec.with_knobs(**fewer), task)
    assert_same_outputs(wide, narrow, task)


@pytest.mark.parametrize(("name", "kind", "knobs", "fewer"), CASES)
def test_dead_channels_leave_and_nothing_changes(
    name: str, kind: InputKind, knobs: dict[str, Any], fewer: dict[str, Any]
) -> None:
    family, task = FAMILIES[name], TASKS[kind]
    spec = family.spec(depth=2, width=8, **knobs)
    wide = family.blueprint(spec, task)
    narrow = family.blueprint(spec.with_knobs(**fewer), task)
    assert_same_outputs(wide, narrow, task)


def test_features_inside_heads_leave_and_scores_keep_their_scale() -> None:
    task = Task((Input("x", "sequence", (5, 6)),), ())

    def network(width: int) -> Blueprint:
        attention = bp.Attention(width, 2, name="attention", inputs=("x", "x"))
        return Blueprint(task.inputs, (attention,), ("attention",))

    assert_same_outputs(network(8), network(4), task)


def assert_same_outputs(wide: Blueprint, narrow: Blueprint, task: Task) -> None:
    """Without removed channels the weights are equal, without dead ones the outputs."""
    model = made(wide)
    given = weights_by_layer(model)
    for name, arrays in narrowed(wide, wide, given, L1).items():
        for array, before in zip(arrays, given[name], strict=True):
            np.testing.assert_array_equal(array.reshape(before.shape), before)
    dead = with_dead(wide, narrow, given)
    wanted = filled(wide, dead)(inputs(task))
    left = filled(narrow, narrowed(wide, narrow, dead, L1))
    assert left.count_params() < model.count_params()
    np.testing.assert_allclose(left(inputs(task)), wanted, rtol=1e-4, atol=1e-5)


def test_channels_of_largest_kernels_remain_in_order() -> None:
    task = Task.of("vector", (2,), classes=2)
    family = FAMILIES["mlp"]
    spec = family.spec(depth=1, width=4, norm="none")
    wide = family.blueprint(spec, task)
    weights = weights_by_layer(made(wide))
    weights["hidden1.dense"][0] = np.array([[1, 0.1, 3, 0], [-1, 0.1, 0, 0]])
    narrow = family.blueprint(spec.with_knobs(width=2), task)
    found = narrowed(wide, narrow, weights, L1)
    np.testing.assert_array_equal(found["hidden1.dense"][0], [[1, 3], [-1, 0]])
    np.testing.assert_array_equal(found["head"][0], weights["head"][0][[0, 2]])


def test_networks_of_other_structure_are_refused() -> None:
    family, task = FAMILIES["mlp"], TASKS["vector"]
    deep, flat = (
        family.blueprint(family.spec(depth=depth, width=8), task) for depth in (2, 1)
    )
    with pytest.raises(SpecError, match="more than their widths"):
        narrowed(deep, flat, weights_by_layer(made(deep)), L1)
    wider = family.blueprint(family.spec(depth=2, width=9), task)
    with pytest.raises(SpecError, match="8 channels of a layer cannot become 9"):
        narrowed(deep, wider, weights_by_layer(made(deep)), L1)
