"""Recurrent networks have the size of Keras, compute the same, and skip padding."""

from typing import Any

import keras
import numpy as np
import pytest
from contracts.family import check_size_equals_keras, example_inputs

from kscale.building.models import build_model
from kscale.errors import SpecError
from kscale.networks.families.rnn import FAMILY
from kscale.task.tasks import Input, Target, Task

TEXT = Task.of("tokens", (6,), vocabulary=11, classes=3)
SPEECH = Task.of("sequence", (5, 3), classes=4)
SEVERAL = Task(
    (Input("x", "sequence", (4, 3)),),
    (Target("label", "classes", 3), Target("value", "real", 2)),
)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize(
    ("task", "knobs"),
    [
        (TEXT, {"depth": 1, "width": 7, "dropout": 0}),
        (TEXT, {"depth": 3, "width": 12, "embedding_width": 5, "pooling": "last"}),
        (SPEECH, {"depth": 3, "width": 5, "bidirectional": True}),
        (SPEECH, {"depth": 1, "width": 5, "bidirectional": True, "pooling": "last"}),
        (SPEECH, {"depth": 4, "width": 6, "residual": False, "pooling": "last"}),
        (Task.of("image", (7, 9, 3), classes=2), {"depth": 2, "width": 8}),
        (SEVERAL, {"depth": 2, "width": 8}),
        (Task.of("sequence", (1, 1)), {"depth": 1, "width": 1}),
    ],
)
def test_sizes_equal_keras(cell: str, task: Task, knobs: dict[str, Any]) -> None:
    check_size_equals_keras(FAMILY.blueprint(FAMILY.spec(cell=cell, **knobs), task))


def test_params_and_flops_by_hand() -> None:
    lstm = FAMILY.size(FAMILY.spec(depth=2, width=8), SPEECH)
    # Four gates read 3 features and then 8, and 8 of the state; two norms; the head.
    assert lstm.params == 4 * (3 * 8 + 8 * 8 + 8) + 4 * (8 * 8 + 8 * 8 + 8) + (
        2 * 8 + 2 * 8 + 8 * 4 + 4
    )
    assert lstm.flops == 2 * (5 * 4 * (3 * 8 + 8 * 8) + 5 * 4 * (8 * 8 + 8 * 8) + 8 * 4)
    spec = FAMILY.spec(depth=3, width=8, cell="gru", bidirectional=True, pooling="last")
    gru = FAMILY.size(spec, TEXT)
    # Both directions; the second and the third layer read 16 features. The embeddings
    # are looked up, and the last layer computes every state before the last one.
    first, later = 3 * (8 * 8 + 8 * 8), 3 * (16 * 8 + 8 * 8)
    assert (
        gru.params
        == 11 * 8
        + 2 * (first + 2 * later)
        + 2 * 3 * (3 * 2 * 8)
        + 2 * 2 * 16
        + 16 * 3
        + 3
    )
    assert gru.flops == 2 * (6 * 2 * (first + 2 * later) + 16 * 3)


def logits(knobs: dict[str, Any], *texts: list[int]) -> Any:
    """Logits of texts of one length, from a model of just that length and always equal
    weights."""
    spec = FAMILY.spec(width=8, **knobs)
    task = Task.of("tokens", (len(texts[0]),), vocabulary=11, classes=3)
    model = build_model(FAMILY.blueprint(spec, task), seed=1)
    # Embeddings start small; larger ones let every token matter.
    model.set_weights([weight * 5 for weight in model.get_weights()])
    return np.asarray(model(np.array(texts)))


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize(
    ("depth", "pooling", "residual"),
    [(1, "mean", True), (1, "last", True), (3, "mean", True), (3, "last", False)],
)
def test_padding_anywhere_changes_nothing_and_tokens_do(
    cell: str, bidirectional: bool, depth: int, pooling: str, residual: bool
) -> None:
    knobs = {
        "cell": cell,
        "bidirectional": bidirectional,
        "depth": depth,
        "pooling": pooling,
        "residual": residual,
    }
    base, backwards = logits(knobs, [3, 7, 1, 9], [9, 1, 7, 3])
    after, before, between, longer = logits(
        knobs,
        [3, 7, 1, 9, 0, 0],
        [0, 0, 3, 7, 1, 9],
        [3, 0, 7, 1, 0, 9],
        [3, 7, 1, 9, 5, 2],
    )
    for padded in (after, before, between):
        np.testing.assert_allclose(padded, base, rtol=1e-4, atol=1e-4)
    for other in (longer, backwards):
        assert np.abs(other - base).max() > 1e-2


def stacked(cell: str, bidirectional: bool, task: Task, pooling: str) -> keras.Model:
    """A plain Keras model: three layers, the second one added to its input."""
    Cell = {"lstm": keras.layers.LSTM, "gru": keras.layers.GRU}[cell]

    def recurrent(tensor: Any, sequences: bool = True) -> Any:
        layer = Cell(6, return_sequences=sequences)
        return (keras.layers.Bidirectional(layer) if bidirectional else layer)(tensor)

    item = task.inputs[0]
    entry = keras.Input(item.shape, dtype=item.dtype)
    tensor = entry
    if item.kind == "tokens":
        tensor = keras.layers.Embedding(item.vocabulary, 6, mask_zero=True)(entry)
    tensor = recurrent(tensor)
    normalized = keras.layers.LayerNormalization(epsilon=1e-6)(tensor)
    tensor = keras.layers.Add()([tensor, recurrent(normalized)])
    tensor = keras.layers.LayerNormalization(epsilon=1e-6)(tensor)
    if pooling == "last":
        tensor = recurrent(tensor, sequences=False)
    else:
        tensor = keras.layers.GlobalAveragePooling1D()(tensor)
    return keras.Model(entry, keras.layers.Dense(task.targets[0].outputs)(tensor))


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("pooling", ["mean", "last"])
@pytest.mark.parametrize("task", [TEXT, SPEECH], ids=["tokens", "sequence"])
def test_it_computes_what_a_plain_keras_model_computes(
    cell: str, bidirectional: bool, pooling: str, task: Task
) -> None:
    spec = FAMILY.spec(
        depth=3 if pooling == "last" else 2,
        width=6,
        cell=cell,
        bidirectional=bidirectional,
        pooling=pooling,
    )
    ours = build_model(FAMILY.blueprint(spec, task))
    theirs = stacked(cell, bidirectional, task, pooling)
    rng = np.random.default_rng(0)
    theirs.set_weights([rng.normal(size=w.shape) for w in theirs.get_weights()])
    ours.set_weights(theirs.get_weights())
    x = example_inputs(task, 5)
    if task is TEXT:
        x[0, 3:], x[1, :2] = 0, 0
    expected = np.asarray(theirs(x))
    assert expected.std() > 0.1
    np.testing.assert_allclose(ours(x), expected, atol=1e-4)


def test_an_image_is_read_row_by_row() -> None:
    images = Task.of("image", (5, 2, 3), classes=3)
    rows = Task.of("sequence", (5, 6), classes=3)
    by_image, by_row = (
        build_model(FAMILY.blueprint(FAMILY.spec(width=8), task), seed=1)
        for task in (images, rows)
    )
    x = example_inputs(images, 4)
    np.testing.assert_allclose(by_image(x), by_row(x.reshape(4, 5, 6)), atol=1e-6)


def test_layers_start_orthogonal_with_open_gates_and_directions_differ() -> None:
    spec = FAMILY.spec(depth=2, width=8, bidirectional=True)
    model = build_model(FAMILY.blueprint(spec, SPEECH), seed=1)
    kernels = []
    for name in ("recurrent", "deeper1.recurrent"):
        layer = model.get_layer(name)
        for kernel, state, bias in (layer.get_weights()[:3], layer.get_weights()[3:]):
            np.testing.assert_allclose(state @ state.T, np.eye(8), atol=1e-5)
            assert bias.tolist() == [0] * 8 + [1] * 8 + [0] * 16
            kernels += [kernel[:3], state]
    for index, first in enumerate(kernels):
        for other in kernels[index + 1 :]:
            assert first.shape != other.shape or not np.allclose(first, other)


@pytest.mark.parametrize(
    ("task", "knobs", "says"),
    [
        (SPEECH, {"embedding_width": 16}, "is for tokens: .* kind sequence, but got"),
        (
            Task((Input("a", "tokens", (5,), 9), Input("b", "tokens", (5,), 9)), ()),
            {},
            "takes one input, but the data has 2",
        ),
    ],
)
def test_what_does_not_fit_is_refused(
    task: Task, knobs: dict[str, Any], says: str
) -> None:
    with pytest.raises(SpecError, match=says):
        FAMILY.size(FAMILY.spec(**knobs), task)
