"""Notes: each appears when it should, and only then."""

from collections.abc import Sequence
from typing import Any

from made_runs import (
    IMAGES,
    cnn,
    digits_results,
    linear,
    made_result,
    made_run,
    majority,
)

from kscale.networks.families import FAMILIES
from kscale.reports.rows import make_report
from kscale.runs.records import Record, Training

BINDING = {"max_params": 5000}


def notes(results: Sequence[Record], **identity: Any) -> list[str]:
    return list(map(str, make_report(made_run(**identity), results).notes))


def has(found: list[str], text: str) -> bool:
    return any(text in note for note in found)


def searched(*scores: float, **changes: Any) -> list[Training]:
    """Results of cnns of depth 2, 3, 4 and width 16, the budget binding, no edge."""
    return [
        made_result(cnn(depth, 16), score, **changes)
        for depth, score in zip((2, 3, 4), scores, strict=False)
    ]


def test_a_front_mostly_undertrained_is_said_first() -> None:
    found = notes(searched(0.7, 0.8, 0.9, undertrained=True))
    assert found[0].startswith("3 of the 3 front rows were still improving")
    assert "--epochs" in found[0]
    assert not has(notes(searched(0.7, 0.8, 0.9)), "still improving")


def test_half_of_the_front_undertrained_is_not_most() -> None:
    results = [*searched(0.7, undertrained=True), *searched(0.0, 0.9)[1:]]
    assert not has(notes(results), "still improving")


def test_a_row_that_a_constant_answer_beats_is_not_counted_as_improving() -> None:
    results = [majority(0.5), *searched(0.4, 0.7, undertrained=True)]
    found = notes([*results, *searched(0.0, 0.0, 0.9)[2:]])
    assert not has(found, "still improving")  # 1 of 2; with the first it was 2 of 3
    found = notes([*results, *searched(0.0, 0.0, 0.9, undertrained=True)[2:]])
    assert found[0].startswith("2 of the 2 front rows better than a constant answer")
    every = [majority(0.95), *searched(0.4, 0.7, undertrained=True)]
    assert has(notes(every), "2 of the 2 front rows were still improving")


def test_the_best_at_the_edge_of_a_range_says_what_to_try() -> None:
    depths = FAMILIES["cnn"].knob("depth").values
    deepest = int(max(float(value) for value in depths))
    found = notes([made_result(cnn(deepest, 16), 0.9)], budget={})
    assert has(found, f"largest depth searched ({deepest}): what is above it was not")
    found = notes([made_result(cnn(2, 8), 0.9)], budget={})
    assert has(found, "smallest width searched (8)")


def test_depth_1_and_values_that_were_set_are_no_edges() -> None:
    assert not has(notes([made_result(cnn(1, 16), 0.9)]), "searched")
    found = notes([made_result(cnn(2, 8), 0.9)], set={"width": 8})
    assert not has(found, "searched")


def test_a_budget_used_by_less_than_half_does_not_bind() -> None:
    params = FAMILIES["cnn"].size(cnn(2, 16), IMAGES).params
    results = searched(0.9)
    assert has(notes(results, budget={"max_params": 2 * params + 1}), "does not bind")
    assert not has(notes(results, budget={"max_params": 2 * params}), "not bind")
    assert not has(notes(results, budget={}), "not bind")
    both = {"max_params": 10 * params, "max_bytes": 5 * params}
    assert not has(notes(results, budget=both), "not bind")


def test_ties_among_finalists_are_counted() -> None:
    found = notes(digits_results())
    assert has(found, "2 of 2 finalists are statistically tied for the best")


def test_without_finalists_scores_are_called_luck() -> None:
    found = notes(searched(0.7, 0.895, 0.9))
    assert has(found, "No finalists were retrained: scores")
    assert has(found, "2 rows are within one standard error of the best")
    assert not has(notes(digits_results()), "No finalists")


def test_a_single_seed_above_the_best_is_explained() -> None:
    results = [*digits_results(), made_result(cnn(4, 12), 0.99)]
    found = notes(results)
    assert has(found, "1 row of the search scored above the best on a single seed")
    assert not has(notes(digits_results()), "above the best")


def test_failures_are_counted_with_the_most_frequent_reason() -> None:
    reasons = ["out of\nmemory", "not finite", "not finite."]
    failed = [
        made_result(cnn(3, 8), None, status="failed", reason=reason, seed=seed)
        for seed, reason in enumerate([*reasons, "not finite."])
    ]
    found = notes([*searched(0.9), *failed])
    assert found[-1] == "4 of 5 trainings failed, most often (2) with: not finite."


def test_a_best_no_better_than_the_baselines_is_said() -> None:
    found = notes([majority(0.5), linear(0.9), *searched(0.905)])
    assert has(found, "no better than the linear baseline")
    found = notes([majority(0.9), linear(0.9), *searched(0.905)])
    assert has(found, "no better than the majority or the linear baseline")
    assert not has(notes(digits_results()), "no better")


def test_a_linear_winner_is_called_one() -> None:
    found = notes([majority(0.1), linear(0.95), *searched(0.9)])
    assert has(found, "No searched network is better than the linear baseline")


def test_a_constant_answer_that_nothing_beats_is_said() -> None:
    text = "Nothing is better than always answering the most frequent class."
    for score in (0.95, 0.99):
        found = notes([majority(score), linear(0.95), *searched(0.9)])
        assert text in found
        assert not has(found, "the majority")
    assert text not in notes([majority(0.94), linear(0.95), *searched(0.9)])


def test_a_search_that_has_not_begun_says_only_that() -> None:
    assert notes([majority(), linear()]) == [
        "No training of the search has finished yet."
    ]


def test_nothing_within_the_budget_is_said() -> None:
    found = notes(searched(0.9), budget={"max_params": 10})
    assert has(found, "Nothing trained so far is within the budget")


def uneven_notes(counts: list[int], **identity: Any) -> str:
    """The notes of a run on ten classes of these training examples."""
    run = made_run(**identity)
    run["data"]["class_counts"] = {"label": counts}
    return " ".join(map(str, make_report(run, digits_results()).notes))


def test_uneven_classes_are_said_with_what_to_do() -> None:
    note = uneven_notes([40, *[20] * 8, 10])
    assert "The largest class of label has 4 times the examples of the smallest" in note
    assert "--objective f1, or --class-weights balanced" in note


def test_uneven_classes_are_no_news_where_they_are_seen_to() -> None:
    even, uneven = [39, *[20] * 8, 10], [50, *[20] * 8, 10]
    assert "largest class" not in uneven_notes(even)
    assert "largest class" not in uneven_notes(uneven, objective="f1")
    weighted = uneven_notes(uneven, class_weights="balanced")
    assert "--objective f1." in weighted and "--class-weights" not in weighted


def test_where_only_shorter_trainings_have_finished_the_note_says_so() -> None:
    short = searched(0.7, 0.8, epochs=2, full_epochs=20)
    found = notes(short)
    assert has(found, "No training of full length has finished yet")
    assert not has(found, "within the budget")
    assert not has(notes([*short, *searched(0.7)]), "full length")
