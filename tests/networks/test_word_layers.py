"""Runs of tokens have the ids that their formula says; padding changes no answer."""

from typing import Any

import keras
import numpy as np
import pytest

from kscale.building.models import build_model, max_over, ngram_ids
from kscale.errors import SpecError
from kscale.networks.blueprint import Blueprint
from kscale.networks.families import find_family
from kscale.networks.sizing import size_of
from kscale.networks.word_layers import Conv1D, GlobalMaxPool, Ngrams
from kscale.task.tasks import Input, Target, Task

TARGETS = (Target("label", "classes", 3),)


def text(length: int, vocabulary: int = 11) -> Task:
    return Task((Input("x", "tokens", (length,), vocabulary, unknown=1),), TARGETS)


def by_hand(ids: list[int], layer: Ngrams) -> list[int]:
    """The formula, in numbers of any length."""
    found = [*ids]
    for longest in range(2, layer.longest + 1):
        for start in range(len(ids) - longest + 1):
            run = ids[start : start + longest]
            pairs = zip(run, layer.factors, strict=False)
            total = sum(token * factor for token, factor in pairs) % layer.buckets
            found.append(layer.vocabulary + total if all(run) else 0)
    return found


@pytest.mark.parametrize(
    ("vocabulary", "buckets"), [(11, 7), (20_000, 100_000), (400_000, 2_000_000)]
)
def test_runs_have_the_ids_of_the_formula(vocabulary: int, buckets: int) -> None:
    layer = Ngrams(3, vocabulary, buckets, name="n", inputs=("x",))
    rows = np.random.default_rng(0).integers(vocabulary // 2, vocabulary, (4, 6))
    rows[0, 4:], rows[1, 2], rows[2] = 0, 0, 0
    blueprint = Blueprint(text(6, vocabulary).inputs, (layer,), ("n",))
    given = np.asarray(build_model(blueprint)(rows.astype(np.int32)))
    assert given.tolist() == [by_hand(row, layer) for row in rows.tolist()]
    assert given.shape[1] == 6 + 5 + 4
    assert size_of(blueprint).params == 0


def test_frequent_pairs_are_far_apart() -> None:
    """Among the first 300 words no bucket holds much more than its share; of numbers
    drawn at random one holds 24."""
    for longest, words in ((2, 300), (3, 45)):
        layer = Ngrams(longest, 5000, 9000, name="n")
        words = np.meshgrid(*[np.arange(2, words + 2)] * longest)
        runs = np.stack(words, -1).reshape(-1, longest).astype(np.int32)
        ids = np.asarray(ngram_ids(runs, 5000, 9000, layer.factors))[:, -1]
        counts = np.bincount(ids - 5000, minlength=9000)
        assert counts.sum() == len(runs) and counts.max() <= 1.7 * counts.mean()


def test_a_text_shorter_than_the_runs_has_shorter_ones() -> None:
    linear = find_family("linear")
    assert linear.size(linear.spec(ngrams=3), text(2)).params == 2 * 11 * 3
    assert linear.size(linear.spec(ngrams=3), text(1)).params == 11 * 3
    with pytest.raises(SpecError, match="`buckets` must be 0 with ngrams=1"):
        linear.size(linear.spec(buckets=50), text(6))
    alone = Blueprint(text(2).inputs, (Ngrams(3, 11, 5, name="n"),), ("n",))
    with pytest.raises(SpecError, match=r"'n' needs at least 3 ids, but got \(2,\)"):
        size_of(alone)


def test_sizes_by_hand() -> None:
    linear, mlp, cnn = map(find_family, ("linear", "mlp", "cnn"))
    spec = linear.spec(ngrams=2, vocabulary=7, buckets=50)
    assert linear.size(spec, text(6)).params == (7 + 50) * 3
    spec = mlp.spec(depth=1, width=8, norm="none", ngrams=3)
    assert mlp.size(spec, text(6)).params == 22 * 8 + 8 * 8 + 8 + 8 * 3 + 3
    spec = cnn.spec(depth=2, width=8, norm="none", embedding_width=5, kernels="2+3+4")
    first, second = (2 + 3 + 4) * 5 * 8, (2 + 3 + 4) * 24 * 8
    size = cnn.size(spec, text(6))
    assert size.params == 11 * 5 + first + 24 + second + 24 + 24 * 3 + 3
    assert size.flops == 2 * (6 * (first + second) + 24 * 3)


def logits(family: str, rows: list[list[int]], **knobs: Any) -> Any:
    """Logits of texts of one length, of weights that are equal for all lengths."""
    chosen, length = find_family(family), len(rows[0])
    blueprint = chosen.blueprint(chosen.spec(**knobs), text(length))
    model, rng = build_model(blueprint), np.random.default_rng(0)
    for weight in model.weights:
        if weight.dtype == "float32":
            drawn = rng.uniform(0.1, 1, weight.shape)
            has_signs = "variance" not in weight.path
            weight.assign(drawn * rng.choice([-1, 1], weight.shape) ** has_signs)
    return np.asarray(model(np.array(rows, np.int32)))


@pytest.mark.parametrize(
    ("family", "knobs"),
    [
        ("linear", {"ngrams": 3}),
        ("mlp", {"ngrams": 2, "depth": 1, "width": 8}),
        ("cnn", {"depth": 1, "width": 8}),
        ("cnn", {"depth": 2, "width": 8, "activation": "gelu", "kernels": "5"}),
        ("cnn", {"depth": 1, "width": 8, "norm": "none", "head_units": 4}),
    ],
)
def test_padding_changes_no_answer(family: str, knobs: dict[str, Any]) -> None:
    rows = [[3, 7, 1, 9], [3, 7, 9, 1], [0, 0, 0, 0]]
    base, other, empty = logits(family, rows, **knobs)
    (padded,) = logits(family, [[3, 7, 1, 9, 0, 0, 0]], **knobs)
    np.testing.assert_allclose(padded, base, rtol=1e-4, atol=1e-4)
    assert np.abs(other - base).max() > 1e-3  # the order of words counts
    assert np.isfinite(empty).all()


def test_norms_are_fitted_to_no_padding() -> None:
    cnn, means = find_family("cnn"), []
    for row in ([3, 7, 1, 9], [3, 7, 1, 9, 0, 0]):
        spec = cnn.spec(depth=1, width=8, token_dropout=0)
        model = build_model(cnn.blueprint(spec, text(len(row))), seed=1)
        model(np.array([row], np.int32), training=True)
        means.append(np.asarray(model.get_layer("layer1.norm").moving_mean))
    np.testing.assert_allclose(*means, atol=1e-7)
    assert np.ptp(means[0]) > 0


def test_the_largest_of_what_counts_is_taken() -> None:
    layers = (Conv1D(2, 2, name="c"), GlobalMaxPool(name="p"))
    whole = Blueprint((Input("x", "sequence", (4, 3)),), layers, ("p",))
    assert size_of(whole).params == 2 * 3 * 2 + 2
    model, x = build_model(whole), np.random.default_rng(0).normal(size=(5, 4, 3))
    seen = np.asarray(keras.Model(model.input, model.get_layer("c").output)(x))
    np.testing.assert_allclose(model(x), seen.max(1), atol=1e-6)
    mask = (
        np.array([[1, 1, 1, 0], [0, 1, 0, 0], [1, 0, 1, 1], [1, 1, 1, 1]] * 2)[:5] > 0
    )
    wanted = np.where(mask[..., None], seen, -np.inf).max(1)
    np.testing.assert_allclose(max_over(seen, mask), wanted)


@pytest.mark.parametrize("knobs", [{"stages": 2}, {"early": 1}, {"augment": "shift"}])
def test_text_has_no_stages(knobs: dict[str, Any]) -> None:
    cnn = find_family("cnn")
    with pytest.raises(SpecError, match=f"`{next(iter(knobs))}` (is for|of inputs)"):
        cnn.size(cnn.spec(**knobs), text(6))
