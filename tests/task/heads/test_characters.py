from itertools import groupby, product

import keras
import numpy as np
import pytest

from kscale.engine.tensorflow.compiling import example_losses
from kscale.errors import DataError
from kscale.task.evaluation import evaluate_test
from kscale.task.heads.characters import CHARACTERS, kept, losses
from kscale.task.objectives import find_objective, task_objective
from kscale.task.tasks import Input, Target, Task

NAMES = ("", " ", "a", "b", "c")
TARGET = Target("text", "characters", len(NAMES), NAMES, length=6)
TASK = Task((Input("sound", "spectrogram", (9, 4)),), (TARGET,))


def _ids(*texts):
    rows = [[NAMES.index(c) for c in text] for text in texts]
    return np.array([row + [0] * (6 - len(row)) for row in rows], np.int32)


def _given(*paths, nats=0.0):
    rows = [[nats, *("_ abc".index(c) for c in p)] for p in paths]
    return np.array(rows, np.float32)


def _logits(examples, frames=5, seed=0):
    draw = np.random.default_rng(seed)
    return draw.normal(size=(examples, frames, len(NAMES))).astype(np.float32)


def _nats(logits, ids):
    logs = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    chance = 0.0
    for path in product(range(len(NAMES)), repeat=len(logits)):
        if [output for output, _ in groupby(path) if output] == ids:
            chance += np.exp(logs[np.arange(len(logits)), path].sum())
    return -np.log(chance)


def test_the_loss_is_that_of_all_paths_and_its_mean_that_of_a_character():
    labels, logits = _ids("ab", "aa", "c"), _logits(3, 4)
    ids = [[int(i) for i in row if i] for row in labels]
    nats = np.array([_nats(*each) for each in zip(logits, ids, strict=True)])

    found = example_losses(TARGET, labels, logits, 0.1)
    rows = np.array(kept(keras.ops, TARGET, labels, logits))

    assert float(np.mean(found)) == pytest.approx(nats.sum() / 5, rel=1e-5)
    np.testing.assert_allclose(rows[:, 0], nats, rtol=1e-5)
    np.testing.assert_array_equal(rows[:, 1:], logits.argmax(axis=-1))


def test_frames_of_a_sure_blank_change_nothing():
    labels, logits = _ids("ab", "a b"), _logits(2)
    blank = np.full((2, 3, len(NAMES)), -1e4, np.float32)
    blank[..., 0] = 0
    longer = np.concatenate([logits, blank], axis=1)

    for function in (kept, losses):
        extra = (0.0,) if function is losses else ()
        short = np.array(function(keras.ops, TARGET, labels, logits, *extra))
        long = np.array(function(keras.ops, TARGET, labels, longer, *extra))
        np.testing.assert_allclose(short.T[0], long.T[0], rtol=1e-5)


def test_rates_of_a_hand_worked_example():
    labels = _ids("ab c", "cc", "a b")
    given = _given("a_b__", "c__c_", " aab_")  # ab, cc, " ab"
    metric = CHARACTERS.objectives

    # "ab" lacks 2 of 4; " ab" has a space too many and one too few.
    assert metric["character_error_rate"].compute(labels, given) == pytest.approx(4 / 9)
    assert metric["character_accuracy"].compute(labels, given) == pytest.approx(5 / 9)
    # "ab" lacks c; "ab" is not "a", and b is missing.
    assert metric["word_error_rate"].compute(labels, given) == pytest.approx(3 / 5)


def test_no_answer_is_wrong_everywhere_and_an_unknown_character_is_an_error():
    metric = CHARACTERS.objectives["character_error_rate"]
    labels = _ids("abc", "b")
    assert metric.compute(labels, _given("____", "____")) == 1.0

    labels[0, 1] = len(NAMES)
    assert metric.compute(labels, _given("abc_", "b___")) == pytest.approx(1 / 4)
    assert np.isfinite(kept(keras.ops, TARGET, labels, _logits(2))).all()


def test_the_baseline_answers_the_most_frequent_transcript():
    labels = _ids("ab", "c", "ab", "a")
    constant = CHARACTERS.constant(labels, len(NAMES), "character_error_rate")
    given = CHARACTERS.baseline(TARGET, constant, _ids("ab", "bb", ""))
    rate = CHARACTERS.objectives["character_error_rate"]

    assert rate.compute(_ids("ab", "bb", ""), given) == pytest.approx(3 / 4)
    # Counted with one more of each: the end 4, the space 1, a 4, b 3, c 2, in all 14.
    ab = -np.log(4 / 14) - np.log(3 / 14) - np.log(4 / 14)
    np.testing.assert_allclose(given[0, 0], ab)


def test_errors_of_rates_are_jackknifed():
    draw = np.random.default_rng(3)
    labels = _ids(*("abc"[: draw.integers(1, 4)] for _ in range(60)))
    paths = draw.integers(0, len(NAMES), (60, 9))
    given = np.column_stack([np.full(60, 2.5), paths])

    scores = evaluate_test(task_objective(None, TASK), TASK, {"text": (labels, given)})

    assert {*scores.metrics} == {"character_error_rate", "word_error_rate", "loss"}
    assert scores.metrics["loss"] == pytest.approx(150 / np.count_nonzero(labels), 1e-4)
    assert 0.02 < scores.stderr < 0.2
    assert len(scores.left_out) == 60


def test_names_of_metrics_and_their_direction():
    cer = find_objective("cer", TARGET)
    assert cer.name == "character_error_rate"
    assert cer.better(0.1, 0.2) and cer.is_share
    assert find_objective("WER", TARGET).name == "word_error_rate"
    with pytest.raises(DataError, match="character_error_rate"):
        find_objective("accuracy", TARGET)
