"""Decoding gives what the whole network gives, token by token."""

from functools import cache
from itertools import groupby, product
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from kscale.building.models import build_model
from kscale.engine.tensorflow.decoding import (
    Decoder,
    decoder_of,
    likely_transcripts,
    scores_of,
)
from kscale.errors import SpecError
from kscale.networks.families import find_family
from kscale.reports.counting import change_task
from kscale.task.tasks import Task
from kscale.task.tokens import END, PADDING, START

LENGTH = 7
NETWORKS: list[tuple[str, dict[str, Any]]] = [
    ("gpt", {"depth": 2, "width": 16, "heads": 2}),
    ("gpt", {"depth": 2, "width": 8, "tied": False, "shared": True, "dropout": 0.0}),
    ("seq2seq", {"depth": 2, "width": 16, "decoder_depth": 1}),
    ("seq2seq", {"depth": 1, "width": 8, "norm": "post", "learned_positions": True}),
    (
        "seq2seq",
        {
            "width": 8,
            "decoder_width": 16,
            "shared": True,
            "shared_embeddings": "none",
            "activation": "silu",
        },
    ),
]


def task_of(family: str) -> Task:
    usual = find_family(family).usual
    assert usual is not None
    return change_task(usual, (LENGTH,), vocabulary=12)


@cache
def made(number: int) -> tuple[Any, Decoder]:
    """A model whose tokens are far from equally likely, and what decodes with it."""
    family, knobs = NETWORKS[number]
    task = task_of(family)
    blueprint = find_family(family).blueprint(find_family(family).spec(**knobs), task)
    model = build_model(blueprint, seed=2)
    rng = np.random.default_rng(0)
    for weight in model.weights:
        noise = rng.normal(0, 0.2, weight.shape)
        weight.assign(weight * 2 + noise)
    return model, decoder_of(blueprint, model, task)


def sources(family: str, examples: int = 4) -> dict[str, Any]:
    rng = np.random.default_rng(1)
    ids = rng.integers(4, 12, (examples, LENGTH)).astype("int32")
    for row, length in zip(ids, (7, 3, 5, 1), strict=False):
        row[length:] = PADDING
    name = "source" if family == "seq2seq" else "text/previous"
    return {name: ids if family == "seq2seq" else ids[:, :0]}


def log_shares(model: Any, inputs: dict[str, Any], ids: Any) -> Any:
    """Logarithms of probabilities that the whole network gives for ids."""
    start = np.full((len(ids), 1), START, "int32")
    previous = np.concatenate([start, ids[:, :-1]], axis=1)
    given = previous
    if "source" in inputs:
        given = {**inputs, "target/previous": previous}
    return np.array(tf.nn.log_softmax(model(given)))


def whole_sums(model: Any, inputs: dict[str, Any], ids: Any) -> Any:
    shares = log_shares(model, inputs, ids)
    chosen = np.take_along_axis(shares, ids[..., None], axis=-1)[..., 0]
    return (chosen * (ids != PADDING)).sum(axis=1)


@pytest.mark.parametrize("number", range(len(NETWORKS)))
def test_a_cached_step_equals_the_whole_network(number: int) -> None:
    (family, _), (model, decoder) = NETWORKS[number], made(number)
    inputs = sources(family)
    ids = np.random.default_rng(2).integers(4, 12, (4, LENGTH)).astype("int32")
    expected = log_shares(model, inputs, ids)

    memories, caches = decoder._memories(inputs), decoder._caches(4, LENGTH)
    last = tf.fill([4], START)
    for place in range(LENGTH):
        chances, caches = decoder._chances(memories, last, place, caches)
        np.testing.assert_allclose(chances, expected[:, place], rtol=1e-5, atol=1e-5)
        last = tf.constant(ids[:, place])


@pytest.mark.parametrize("number", [0, 2])
def test_greedy_takes_the_likeliest_and_beams_find_no_worse(number: int) -> None:
    (family, _), (model, decoder) = NETWORKS[number], made(number)
    inputs = sources(family, 64)
    ids, sums = (np.asarray(it) for it in decoder.greedy(inputs, LENGTH))
    assert ids.shape == (len(ids), LENGTH) and ids.dtype == np.int32
    shares = log_shares(model, inputs, ids)
    shares[..., [PADDING, START]] = -np.inf
    is_token = ids != PADDING
    assert np.array_equal(shares.argmax(axis=-1)[is_token], ids[is_token])
    np.testing.assert_allclose(sums, whole_sums(model, inputs, ids), rtol=1e-4)
    one = decoder.beam(inputs, LENGTH, 1)
    assert np.array_equal(one[0], ids)
    lengths = is_token.sum(axis=1)
    found, theirs = (np.asarray(it) for it in decoder.beam(inputs, LENGTH, 3))
    np.testing.assert_allclose(theirs, whole_sums(model, inputs, found), rtol=1e-4)
    scores = scores_of(theirs, (found != PADDING).sum(axis=1)).numpy()
    least = scores_of(sums, lengths).numpy()
    assert np.all(scores >= least - 1e-6)
    assert np.any(scores > least + 1e-3) or family == "gpt"  # examples are the same


def test_a_search_of_all_beams_finds_the_best_of_all() -> None:
    """Of two tokens, the best of all sequences is known."""
    model, decoder = made(0)
    allowed = [token for token in range(12) if token not in (PADDING, START)]
    pairs = np.array([[a, b] for a in allowed for b in allowed], np.int32)
    pairs[pairs[:, 0] == END, 1] = PADDING
    inputs = {"text/previous": np.zeros((len(pairs), 0), np.int32)}
    sums = whole_sums(model, inputs, pairs)
    scores = scores_of(sums, (pairs != PADDING).sum(axis=1)).numpy()
    one = {"text/previous": np.zeros((1, 0), np.int32)}
    ids, found = decoder.beam(one, 2, 10)
    assert np.array_equal(ids[0], pairs[scores.argmax()])
    assert float(found[0]) == pytest.approx(sums[scores.argmax()], rel=1e-4)


def test_an_end_stops_and_padding_follows() -> None:
    model, decoder = made(2)
    inputs = sources("seq2seq", 64)
    table = model.get_layer("encoder_embeddings").embeddings
    before = np.array(table)
    hidden = before.copy()
    hidden[END] = hidden[4:].sum(axis=0) * 3  # likely now and then
    table.assign(hidden)
    ended = 0
    for ids, _ in (decoder.greedy(inputs, LENGTH), decoder.beam(inputs, LENGTH, 3)):
        for row in np.asarray(ids):
            ends = np.flatnonzero(row == END)
            if len(ends):
                ended += 1
                assert len(ends) == 1 and not row[ends[0] + 1 :].any()
                assert row[: ends[0]].all()
            else:
                assert row.all()
            assert START not in row
    table.assign(before)
    assert ended


def test_first_tokens_are_given_and_continued() -> None:
    model, decoder = made(0)
    first = np.array([[5, 9, 4], [7, 0, 0], [0, 0, 0]], np.int32)
    inputs = {"text/previous": first}
    for ids, sums in (
        decoder.greedy(inputs, LENGTH),
        decoder.beam(inputs, LENGTH, 3),
        decoder.sample(inputs, LENGTH, seed=3),
    ):
        ids = np.asarray(ids)
        assert np.array_equal(ids[:, :3] * (first > 0), first)
        shares = log_shares(model, {}, ids)
        chosen = np.take_along_axis(shares, ids[..., None], axis=-1)[..., 0]
        is_new = (ids != PADDING) & ~np.pad(first > 0, [(0, 0), (0, LENGTH - 3)])
        np.testing.assert_allclose(sums, (chosen * is_new).sum(axis=1), rtol=1e-4)
    alone = decoder.greedy({"text/previous": first[:1]}, LENGTH)[0]
    assert np.array_equal(alone[0], decoder.greedy(inputs, LENGTH)[0][0])


def test_samples_follow_the_seed_and_the_temperature() -> None:
    model, decoder = made(0)
    inputs = {"text/previous": np.zeros((4000, 0), np.int32)}
    ids = np.asarray(decoder.sample(inputs, 1, seed=5)[0])
    assert np.array_equal(ids, decoder.sample(inputs, 1, seed=5)[0])
    assert not np.array_equal(ids, decoder.sample(inputs, 1, seed=6)[0])
    shares = np.exp(log_shares(model, {}, np.array([[4, 4]], np.int32))[0, 0])
    shares[[PADDING, START]] = 0
    shares /= shares.sum()
    counts = np.bincount(ids[:, 0], minlength=12) / 4000
    # Six deviations of a share of 4,000 draws at most.
    assert np.abs(counts - shares).max() < 6 * (0.25 / 4000) ** 0.5
    cold = np.asarray(decoder.sample(inputs, 1, temperature=1e-3)[0])
    assert np.array_equal(cold, decoder.greedy(inputs, 1)[0])


@pytest.mark.slow
def test_it_is_saved_inside_a_graph(tmp_path: Any) -> None:
    model, decoder = made(2)
    inputs = sources("seq2seq")
    module = tf.Module()
    module.model = model

    @tf.function(input_signature=[tf.TensorSpec((None, None), tf.int32)])
    def translate(ids: Any) -> Any:
        return decoder.beam({"source": ids}, LENGTH, 2)

    module.translate = translate
    tf.saved_model.save(module, tmp_path)
    loaded = tf.saved_model.load(tmp_path)
    ids, sums = loaded.translate(inputs["source"])
    expected = decoder.beam(inputs, LENGTH, 2)
    assert np.array_equal(ids, expected[0])
    np.testing.assert_allclose(sums, expected[1], rtol=1e-5)


def test_networks_that_cannot_be_decoded_are_refused() -> None:
    task = Task.of("tokens", (6,), vocabulary=9, classes=2)
    family = find_family("transformer")
    blueprint = family.blueprint(family.spec(depth=1, width=8), task)
    with pytest.raises(SpecError, match="earlier tokens of its one target"):
        decoder_of(blueprint, build_model(blueprint), task)


def by_brute_force(logs: np.ndarray) -> dict[tuple[int, ...], float]:
    """The probability of each transcript: the sum over all its paths."""
    frames, outputs = logs.shape
    found: dict[tuple[int, ...], float] = {}
    for path in product(range(outputs), repeat=frames):
        chance = np.exp(logs[np.arange(frames), path].sum())
        text = tuple(output for output, _ in groupby(path) if output)
        found[text] = found.get(text, 0.0) + chance
    return found


def test_wide_beams_find_the_likeliest_transcript_and_few_a_likelier_one() -> None:
    logits = 2 * np.random.default_rng(0).normal(size=(12, 6, 3))
    shares = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    chances = [by_brute_force(np.log(each)) for each in shares]
    paths = shares.argmax(axis=-1).tolist()

    def chances_of(beams: int) -> list[float]:
        texts = np.asarray(likely_transcripts(shares, beams)).tolist()
        rows = zip(chances, texts, strict=True)
        return [each[tuple(id for id in text if id)] for each, text in rows]

    best = [max(each.values()) for each in chances]
    greedy = [
        each[tuple(output for output, _ in groupby(path) if output)]
        for each, path in zip(chances, paths, strict=True)
    ]
    assert chances_of(200) == pytest.approx(best)
    assert all(np.array(chances_of(16)) >= np.array(greedy) * (1 - 1e-9))
    assert greedy != pytest.approx(best)
