"""Losses and metrics of sequences of tokens."""

import keras
import numpy as np
import pytest
import sacrebleu
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from kscale.engine.tensorflow.compiling import example_losses
from kscale.errors import DataError
from kscale.task.evaluation import bootstrap_error, evaluate_test
from kscale.task.heads import HEADS
from kscale.task.heads.tokens import compared
from kscale.task.objectives import find_objective, task_objective
from kscale.task.tasks import Target, Task
from kscale.task.tokens import text_of

NAMES = ("", "<unk>", "", "", *["▁a", "b", "▁cd", "e", "▁f", "g", "h", "▁i"])
TARGET = Target("de", "tokens", len(NAMES), NAMES, length=7)
HEAD = TARGET.head
RNG = np.random.default_rng(0)
OUTPUTS = RNG.normal(size=(5, 7, len(NAMES))).astype(np.float32)


def padded_labels() -> np.ndarray:
    labels = RNG.integers(4, len(NAMES), (5, 7)).astype(np.int32)
    for row, length in enumerate((4, 7, 6, 2, 5)):
        labels[row, length - 1] = 3
        labels[row, length:] = 0
    return labels


LABELS = padded_labels()
KEPT = HEAD.kept(np, TARGET, LABELS, OUTPUTS)


def loss_of(smoothing: float) -> float:
    tensors = keras.ops.array(LABELS), keras.ops.array(OUTPUTS)
    return float(np.mean(example_losses(TARGET, *tensors, smoothing)))


def test_graph_and_numpy_keep_the_same() -> None:
    tensors = keras.ops.array(LABELS), keras.ops.array(OUTPUTS)
    found = np.asarray(HEAD.kept(keras.ops, TARGET, *tensors))
    np.testing.assert_allclose(found, KEPT, rtol=1e-5)
    assert KEPT[:, 2].tolist() == [4, 7, 6, 2, 5]


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_loss_is_that_of_keras_over_tokens_that_are_not_padding(
    smoothing: float,
) -> None:
    hot = np.eye(len(NAMES))[LABELS] * (1 - smoothing) + smoothing / len(NAMES)
    each = keras.ops.categorical_crossentropy(hot, OUTPUTS, from_logits=True)
    expected = np.asarray(each)[LABELS != 0].mean()
    assert loss_of(smoothing) == pytest.approx(expected, rel=1e-5)


def test_metrics_of_tokens() -> None:
    loss = HEAD.objectives["loss"].compute(LABELS, KEPT)
    assert loss == pytest.approx(loss_of(0.0), rel=1e-5)
    perplexity = HEADS["next"].objectives["perplexity"].compute(LABELS, KEPT)
    assert perplexity == pytest.approx(np.exp(loss), rel=1e-6)
    is_right = (OUTPUTS.argmax(-1) == LABELS)[LABELS != 0]
    right = HEAD.objectives["token_accuracy"].compute(LABELS, KEPT)
    assert right == pytest.approx(is_right.mean(), rel=1e-6)
    written = sum(len("".join(NAMES[token] for token in row)) for row in LABELS)
    bits = HEAD.objectives["bits_per_character"].compute(LABELS, KEPT)
    assert bits == pytest.approx(KEPT[:, 0].sum() / written / np.log(2), rel=1e-6)


def test_padding_counts_nowhere() -> None:
    longer = np.pad(LABELS, ((0, 0), (0, 3)))
    noise = RNG.normal(size=(5, 3, len(NAMES))).astype(np.float32)
    found = HEAD.kept(np, TARGET, longer, np.concatenate([OUTPUTS, noise], axis=1))
    np.testing.assert_allclose(found, KEPT, rtol=1e-6)


def test_bleu_and_chrf_are_those_of_sacrebleu() -> None:
    texts = ["the cat sat on a mat", "a dog runs home now", "yes it is", "one", "two"]
    given = ["the cat sat on the mat", "a dog runs home", "yes it was", "one", "three"]
    pairs = {"de": (LABELS, np.concatenate([KEPT, compared(texts, given)], axis=1))}
    task = Task((), (TARGET,))
    found = evaluate_test(task_objective(None, task), task, pairs)
    bleu = sacrebleu.corpus_bleu(given, [texts]).score
    assert found.metrics["bleu"] == pytest.approx(bleu, abs=1e-3)
    chrf = sacrebleu.corpus_chrf(given, [texts]).score
    assert found.metrics["chrf"] == pytest.approx(chrf, abs=1e-3)
    assert found.metric_errors["bleu"] > 0


@pytest.mark.parametrize(("name", "metric"), [("bleu", BLEU()), ("chrf", CHRF())])
def test_signatures_are_those_of_sacrebleu(name: str, metric: BLEU | CHRF) -> None:
    metric.corpus_score(["a"], [["a"]])
    expected, _ = str(metric.get_signature()).split("|version:")
    assert HEAD.objectives[name].signature == expected


def test_metrics_of_decoded_texts_are_left_out_where_none_were_decoded() -> None:
    task = Task((), (TARGET,))
    found = evaluate_test(task_objective(None, task), task, {"de": (LABELS, KEPT)})
    assert "bleu" not in found.metrics and "token_accuracy" in found.metrics
    with pytest.raises(DataError, match="search by bits_per_character"):
        find_objective("bleu", TARGET)


def test_baseline_knows_how_frequent_tokens_are() -> None:
    constant = HEAD.constant(LABELS, TARGET.outputs, HEAD.metric)
    given = HEAD.baseline(TARGET, constant, LABELS)
    counts = np.bincount(LABELS[LABELS != 0], minlength=len(NAMES)) + 1
    shares = counts / counts.sum()
    expected = -np.log(shares[LABELS[LABELS != 0]]).mean()
    loss = HEAD.objectives["loss"].compute(LABELS, given)
    assert loss == pytest.approx(expected, rel=1e-5)


def test_text_of_pieces_and_of_bytes() -> None:
    names = ["", "<unk>", "", "", "\u2581gr", "<0xC3>", "<0xB6>", "\u00dfe", "\u2581x"]
    assert text_of([2, 4, 5, 6, 7, 8, 3, 4], names) == "gr\u00f6\u00dfe x"


def test_labels_of_sequences_have_a_length() -> None:
    assert TARGET.label_shape == (7,)
    with pytest.raises(DataError, match="length >= 1"):
        Target("de", "tokens", 9)
    with pytest.raises(DataError, match="0 for other kinds"):
        Target("y", "classes", 9, length=4)


def test_errors_of_bleu_are_those_of_sacrebleus_bootstrap() -> None:
    rng = np.random.default_rng(0)
    words = np.array(
        [
            "a",
            "dog",
            "the",
            "cat",
            "man",
            "runs",
            "sits",
            "on",
            "mat",
            "house",
            "red",
            "big",
        ]
    )
    rows = [rng.integers(0, len(words), rng.integers(4, 12)) for _ in range(300)]
    noisy = [np.where(rng.random(len(row)) < 0.2, row // 2, row) for row in rows]
    texts, given = ([" ".join(words[row]) for row in part] for part in (rows, noisy))
    figures = np.concatenate([np.ones((300, 4)), compared(texts, given)], axis=1)
    error = bootstrap_error(HEAD.objectives["bleu"], LABELS, figures)
    found = BLEU().corpus_score(given, [texts], n_bootstrap=1000)
    assert error == pytest.approx(found._ci / 1.96, rel=0.15)
