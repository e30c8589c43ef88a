"""A network that keeps the first ids only is one of data that has no others."""

from dataclasses import replace
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from contracts.family import check_size_equals_keras

from kscale.building.models import build_model
from kscale.errors import SpecError
from kscale.networks.blueprint import KnownTokens
from kscale.networks.families import find_family
from kscale.networks.families.tokens import vocabularies_for
from kscale.networks.sizing import size_of
from kscale.task.tasks import Input, Target, Task

READERS = ("linear", "mlp", "cnn", "rnn", "transformer")
TARGETS = (Target("label", "classes", 3),)


def text(vocabulary: int, unknown: int = 1, length: int = 6) -> Task:
    item = Input("x", "tokens", (length,), vocabulary, unknown=unknown)
    return Task((item,), TARGETS)


def small(family: str, **knobs: Any) -> dict[str, Any]:
    return knobs if family == "linear" else {"depth": 1, "width": 8, **knobs}


@pytest.mark.parametrize("family", READERS)
def test_ids_that_are_left_out_become_the_unknown_one(family: str) -> None:
    chosen = find_family(family)
    cut, plain = (
        chosen.blueprint(chosen.spec(**small(family, vocabulary=n)), task)
        for n, task in ((5, text(11)), (0, text(5)))
    )
    sizes = size_of(cut), size_of(plain)
    assert sizes[0].params == sizes[1].params and sizes[0].flops == sizes[1].flops
    models = [check_size_equals_keras(blueprint) for blueprint in (cut, plain)]
    ids = np.array([[2, 10, 4, 5, 3, 0], [7, 8, 9, 0, 0, 0]], np.int32)
    known = np.where(ids < 5, ids, 1).astype(np.int32)
    given, expected = models[0](ids), models[1](known)
    np.testing.assert_allclose(given, expected, atol=1e-6)
    assert np.abs(np.asarray(models[1](np.minimum(ids, 4)) - expected)).max() > 0


@pytest.mark.parametrize("family", READERS)
def test_a_vocabulary_above_the_data_changes_nothing(family: str) -> None:
    chosen = find_family(family)
    for n in (11, 50):
        spec = chosen.spec(**small(family, vocabulary=n))
        assert chosen.blueprint(spec, text(11)) == chosen.blueprint(
            chosen.spec(**small(family)), text(11)
        )


@pytest.mark.parametrize("family", READERS)
def test_ids_in_no_order_must_all_be_kept(family: str) -> None:
    chosen = find_family(family)
    spec = chosen.spec(**small(family, vocabulary=5))
    with pytest.raises(SpecError, match="in no order of frequency"):
        chosen.size(spec, text(11, unknown=0))
    with pytest.raises(SpecError, match="`vocabulary > 7`, the id that stands"):
        chosen.size(spec, text(11, unknown=7))


@pytest.mark.parametrize("family", ["linear", "mlp", "rnn"])
@pytest.mark.parametrize("knob", ["vocabulary", "embedding_width", "buckets"])
def test_other_inputs_have_no_tokens_to_set(family: str, knob: str) -> None:
    chosen = find_family(family)
    if knob in chosen.all_knobs:
        with pytest.raises(SpecError, match=f"`{knob}` is for tokens: it must be 0"):
            chosen.size(
                chosen.spec(**{knob: 16}), Task.of("sequence", (4, 3), classes=2)
            )


def test_a_search_tries_each_different_vocabulary_once() -> None:
    assert vocabularies_for(text(499)) == (0,)
    assert vocabularies_for(text(2000)) == (500, 1000, 0)
    assert vocabularies_for(text(2001)) == (500, 1000, 2000, 0)
    assert vocabularies_for(text(9000, unknown=0)) == (0,)
    assert vocabularies_for(text(9000, unknown=600)) == (1000, 2000, 5000, 0)
    assert vocabularies_for(Task.of("vector", (5,))) == (0,)
    types = Input("types", "tokens", (6,), 700)
    both = replace(text(9000), inputs=(*text(9000).inputs, types))
    assert vocabularies_for(both) == (1000, 2000, 5000, 0)


def test_each_input_of_a_transformer_is_cut() -> None:
    family = find_family("transformer")
    items = (
        Input("a", "tokens", (4,), 20, unknown=1),
        Input("b", "tokens", (4,), 30, unknown=2),
        Input("types", "tokens", (4,), 2),
    )
    spec = family.spec(depth=1, width=8, vocabulary=10)
    blueprint = family.blueprint(spec, Task(items, TARGETS))
    cut = [layer for layer in blueprint.layers if isinstance(layer, KnownTokens)]
    assert [(layer.vocabulary, layer.unknown) for layer in cut] == [(10, 1), (10, 2)]
    check_size_equals_keras(blueprint)


def logits(*texts: list[int], **knobs: Any) -> Any:
    """Logits of texts of one length from an MLP for it, of always equal weights."""
    family = find_family("mlp")
    spec = family.spec(**{"depth": 2, "width": 8, **knobs})
    model = build_model(family.blueprint(spec, text(11, length=len(texts[0]))), seed=1)
    model.set_weights([weight * 5 for weight in model.get_weights()])
    return np.asarray(model(np.array(texts)))


@pytest.mark.parametrize("knobs", [{}, {"embedding_width": 5, "norm": "none"}])
def test_an_mlp_reads_the_average_of_what_is_no_padding(knobs: dict[str, Any]) -> None:
    base, other = logits([3, 7, 1, 9], [3, 7, 1, 8], **knobs)
    padded = logits([3, 7, 1, 9, 0, 0], [0, 9, 0, 7, 1, 3], **knobs)
    twice = logits([3, 3, 7, 7, 1, 1, 9, 9], **knobs)
    for same in (*padded, *twice):
        np.testing.assert_allclose(same, base, rtol=1e-4, atol=1e-4)
    assert np.abs(other - base).max() > 1e-3
    assert np.isfinite(logits([0, 0, 0], **knobs)).all()


def test_size_of_an_mlp_on_tokens_by_hand() -> None:
    family = find_family("mlp")
    spec = family.spec(depth=2, width=16, norm="none", embedding_width=5, vocabulary=7)
    size = family.size(spec, text(11))
    hidden = 5 * 16 + 16 * 16
    assert size.params == 7 * 5 + hidden + 2 * 16 + 16 * 3 + 3
    assert size.flops == 2 * (hidden + 16 * 3)  # rows are looked up, averages are free


def test_a_text_whose_tokens_are_all_dropped_has_gradients_like_others() -> None:
    """Zeros alone, normalized in each block, would make them 1e8 times as large."""
    family = find_family("transformer")
    spec = family.spec(depth=3, width=8, token_dropout=0.5)
    model = build_model(family.blueprint(spec, text(11)), seed=1)
    ids, labels = np.zeros((64, 6), np.int32), np.zeros(64, np.int32)
    ids[:, 0] = 5
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    with tf.GradientTape() as tape:
        value = loss(labels, model(ids, training=True))
    gradients = tape.gradient(value, model.trainable_variables)
    assert float(tf.linalg.global_norm(gradients)) < 100
