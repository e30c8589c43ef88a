"""Front, best and recommended of results written by hand."""

import math
from typing import Any

import pytest

from kscale.networks.budget import Budget
from kscale.networks.families.base import Spec
from kscale.runs.entries import (
    answers_of,
    best_of,
    entries_of,
    front_of,
    is_answer,
    is_tied,
    recommended_of,
)
from kscale.runs.records import (
    DeviceFit,
    Evaluation,
    Reference,
    Training,
    from_line,
    to_line,
)
from kscale.task.heads import HEADS

ACCURACY = HEADS["classes"].objectives["accuracy"]
ERROR = HEADS["real"].objectives["mean_absolute_error"]
SIZES: dict[str, Any] = {"params": 0, "trainable": 0, "flops": 0, "bytes": 0}


def result(width: int, score: float | None, **changes: Any) -> Training:
    """A finished training of an mlp with 100 params for each unit of width."""
    given: dict[str, Any] = {
        "key": f"{width}-{changes}",
        "stage": "search",
        "job": 0,
        "spec": Spec("mlp", (("depth", 1), ("width", width))),
        "params": 100 * width,
        "trainable": 100 * width,
        "flops": 200 * width,
        "bytes": 400 * width,
        "learning_rate": 0.01,
        "epochs": 5,
        "score": score,
        "stderr": 0.01,
    }
    return Training(**{**given, **changes})


def widths(entries: list[Any]) -> list[int]:
    return [entry.spec.width for entry in entries]


def test_results_of_one_spec_at_two_learning_rates_are_two_entries() -> None:
    entries = entries_of([result(8, 0.8), result(8, 0.9, learning_rate=0.1)])
    assert [entry.learning_rate for entry in entries] == [0.01, 0.1]


def test_failed_unscored_and_test_results_are_no_entries() -> None:
    assert not entries_of(
        [
            result(8, None, status="failed", reason="out of memory"),
            result(8, None),
            result(8, math.nan),
            Evaluation(spec=result(8, 0.9).spec, score=0.9),
            Reference(name="majority", score=0.9, **SIZES),
        ]
    )


def test_of_a_continued_training_the_longest_counts() -> None:
    (entry,) = entries_of([result(8, 0.9, epochs=5), result(8, 0.7, epochs=10)])
    assert (entry.score, entry.epochs) == (0.7, 10)
    assert len(entry.others) == 1


def test_finalist_seeds_replace_the_lucky_seed_of_the_search() -> None:
    (entry,) = entries_of(
        [
            result(8, 0.99),
            result(8, 0.90, stage="finalist", seed=1),
            result(8, 0.92, stage="finalist", seed=2),
        ]
    )
    assert entry.stage == "finalist"
    assert entry.score == pytest.approx(0.91)


def test_the_error_of_an_entry_adds_seeds_to_examples() -> None:
    (entry,) = entries_of(
        [
            result(8, 0.90, stage="finalist", seed=1, stderr=0.03),
            result(8, 0.92, stage="finalist", seed=2, stderr=0.03),
        ]
    )
    # variance of the scores .0002, over two seeds .0001; over examples .0009
    assert entry.stderr == pytest.approx(math.sqrt(0.0009 + 0.0001))


def test_an_entry_is_undertrained_if_most_of_its_trainings_were() -> None:
    results = [
        result(8, 0.9, seed=seed, undertrained=seed < late)
        for late in (2, 1)
        for seed in range(3)
    ]
    assert entries_of(results[:3])[0].undertrained
    assert not entries_of(results[3:])[0].undertrained


def test_a_baseline_stays_one_when_it_is_a_finalist() -> None:
    (entry,) = entries_of(
        [result(8, 0.9, stage="baseline"), result(8, 0.9, stage="finalist", seed=3)]
    )
    assert entry.stage == "finalist"
    assert entry.is_baseline
    assert not entries_of([result(8, 0.9)])[0].is_baseline


def test_the_front_holds_what_nothing_beats_in_size_and_score() -> None:
    entries = entries_of(
        [result(32, 0.9), result(8, 0.7), result(16, 0.7), result(24, 0.8)]
    )
    assert widths(front_of(entries, ACCURACY)) == [8, 24, 32]


def test_the_front_falls_where_a_low_score_is_better() -> None:
    entries = entries_of([result(8, 3.0), result(16, 4.0), result(24, 2.0)])
    assert widths(front_of(entries, ERROR)) == [8, 24]


def test_of_one_size_only_the_better_score_is_on_the_front() -> None:
    entries = entries_of([result(8, 0.7), result(8, 0.8, learning_rate=0.1)])
    (entry,) = front_of(entries, ACCURACY)
    assert entry.score == 0.8


def test_the_best_is_a_finalist_though_a_single_seed_scored_higher() -> None:
    entries = entries_of(
        [result(8, 0.95, stage="finalist"), result(16, 0.99), result(24, 0.8)]
    )
    best = best_of(entries, ACCURACY)
    assert best is not None
    assert best.spec.width == 8


def test_of_equal_scores_the_smaller_is_the_best() -> None:
    best = best_of(entries_of([result(16, 0.9), result(8, 0.9)]), ACCURACY)
    assert best is not None
    assert best.spec.width == 8


def test_the_recommended_is_the_smallest_within_one_standard_error() -> None:
    entries = entries_of([result(8, 0.885), result(16, 0.891), result(24, 0.9)])
    recommended = recommended_of(entries, ACCURACY)
    assert recommended is not None
    assert recommended.spec.width == 16


def test_a_single_seed_is_not_recommended_where_there_are_finalists() -> None:
    entries = entries_of(
        [result(8, 0.9), result(16, 0.9, stage="finalist"), result(8, 0.1, seed=2)]
    )
    recommended = recommended_of(entries, ACCURACY)
    assert recommended is not None
    assert recommended.spec.width == 16


def test_a_baseline_that_is_tied_is_recommended_if_it_is_smaller() -> None:
    entries = entries_of([result(8, 0.895, stage="baseline"), result(16, 0.9)])
    recommended = recommended_of(entries, ACCURACY)
    assert recommended is not None
    assert recommended.spec.width == 8


def test_a_tie_is_one_standard_error_of_the_best_in_either_direction() -> None:
    best, near, far = entries_of(
        [result(8, 2.0, stderr=0.5), result(16, 2.5), result(24, 2.6)]
    )
    assert is_tied(near, best, ERROR)
    assert not is_tied(far, best, ERROR)


def test_nothing_has_no_answer() -> None:
    assert best_of([], ACCURACY) is None
    assert recommended_of([], ACCURACY) is None
    assert front_of([], ACCURACY) == []


@pytest.mark.parametrize(
    ("budget", "fits"),
    [
        (Budget(max_params=800), True),
        (Budget(max_params=799), False),
        (Budget(max_flops=1599), False),
        (Budget(max_bytes=3199), False),
    ],
)
def test_an_answer_is_within_every_limit(budget: Budget, fits: bool) -> None:
    (entry,) = entries_of([result(8, 0.9)])
    assert is_answer(entry, budget) is fits


def test_a_training_that_was_not_of_full_length_is_no_answer() -> None:
    short, full = entries_of(
        [result(8, 0.99, full_epochs=6), result(16, 0.9, full_epochs=5)]
    )
    assert not is_answer(short, Budget())
    assert is_answer(full, Budget())


def test_an_entry_with_a_training_of_full_length_is_of_full_length() -> None:
    short = result(8, 0.99, epochs=1, full_epochs=5)
    (entry,) = entries_of([short, result(8, 0.9, full_epochs=5)])
    assert entry.is_full and entry.score == 0.9 and entry.others == (short,)


def fit(width: int, **changes: Any) -> DeviceFit:
    spec = result(width, None).spec
    given = {"predicted_flash": 100, "predicted_ram": 10 * width}
    return DeviceFit(spec=spec, **{**given, **changes})


def test_what_is_measured_on_a_device_counts_before_what_is_predicted() -> None:
    budget = Budget(max_ram=170)
    trained = [result(8, 0.8), result(16, 0.9), result(24, 0.95)]
    fits = [fit(8), fit(16), fit(24)]

    def answers(records: list[Any]) -> list[int]:
        return widths(answers_of(records, budget, {}))

    assert answers([*trained, *fits]) == [8, 16]
    assert answers([*trained, *fits, fit(16, flash=90, ram=171)]) == [8]
    assert answers([*trained, *fits, fit(24, flash=90, ram=170)]) == [8, 16, 24]
    failed = fit(16, status="failed", reason="no such operation")
    assert answers([*trained, *fits, failed]) == [8, 16]
    assert answers(trained) == [8, 16, 24]  # nobody asked


def test_a_fit_on_a_device_is_read_as_written() -> None:
    for each in (fit(8), fit(8, flash=90, ram=70, seconds=1.5)):
        assert from_line(to_line(each)) == each
