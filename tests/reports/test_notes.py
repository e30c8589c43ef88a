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
from msgspec.structs import replace

from kscale.networks.families import FAMILIES
from kscale.networks.families.base import Spec
from kscale.reports.notes import search_notes
from kscale.reports.rows import make_report
from kscale.reports.run_tables import report_json, report_text
from kscale.runs.records import DeviceFit, Record, Training

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


def finalists(spec: Spec, *scores: float) -> list[Training]:
    """Trainings of one finalist."""
    return [
        made_result(spec, score, "finalist", seed=10 + seed)
        for seed, score in enumerate(scores)
    ]


def test_a_front_mostly_undertrained_is_said_first() -> None:
    found = notes(searched(0.7, 0.8, 0.9, undertrained=True))
    assert found[0].startswith("All 3 front rows were still improving")
    assert found[0].endswith("train longer with --epochs.")
    assert not has(notes(searched(0.7, 0.8, 0.9)), "still improving")


def test_where_time_was_limited_more_of_it_is_advised() -> None:
    run = {**made_run(), "sessions": [{"time": None}, {"time": 50.0}]}
    short = searched(0.7, 0.8, 0.9, undertrained=True)
    assert str(make_report(run, short).notes[0]).endswith("more --time and --epochs.")


def test_half_of_the_front_undertrained_is_not_most() -> None:
    results = [*searched(0.7, undertrained=True), *searched(0.0, 0.9)[1:]]
    assert not has(notes(results), "still improving")


def test_a_row_that_a_constant_answer_beats_is_not_counted_as_improving() -> None:
    results = [majority(0.5), *searched(0.4, 0.7, undertrained=True)]
    found = notes([*results, *searched(0.0, 0.0, 0.9)[2:]])
    assert not has(found, "still improving")  # 1 of 2; with the first it was 2 of 3
    found = notes([*results, *searched(0.0, 0.0, 0.9, undertrained=True)[2:]])
    assert found[0].startswith("All 2 front rows better than a constant answer")
    every = [majority(0.95), *searched(0.4, 0.7, undertrained=True)]
    assert has(notes(every), "All 2 front rows were still improving")


def test_the_best_at_the_edge_of_a_range_says_what_to_try() -> None:
    depths = FAMILIES["cnn"].knob("depth").values
    deepest = int(max(float(value) for value in depths))
    found = notes([made_result(cnn(deepest, 16), 0.9)], budget={})
    assert has(found, f"largest depth searched ({deepest}): what is above it was not")
    found = notes([made_result(cnn(2, 8), 0.9)], budget={})
    assert has(found, "smallest width searched (8)")


def test_an_edge_is_no_news_where_nothing_beyond_it_fits() -> None:
    deepest = max(int(value) for value in FAMILIES["cnn"].knob("depth").values)
    best = made_result(cnn(deepest, 8), 0.9)
    twice = min(
        FAMILIES["cnn"].size(cnn(2 * deepest, int(width)), IMAGES).params
        for width in FAMILIES["cnn"].knob("width").values
    )
    fits = notes([best], budget={"max_params": twice})
    assert has(fits, f"--set depth={2 * deepest} tries one")
    assert not has(notes([best], budget={"max_params": best.params}), "--set depth")


def test_depth_1_and_values_that_were_set_are_no_edges() -> None:
    assert not has(notes([made_result(cnn(1, 16), 0.9)]), "searched")
    found = notes([made_result(cnn(2, 8), 0.9)], set={"width": 8})
    assert not has(found, "searched")


def test_a_budget_used_by_less_than_half_does_not_bind_if_more_was_tried() -> None:
    params = FAMILIES["cnn"].size(cnn(2, 16), IMAGES).params
    larger = searched(0.9, 0.8, 0.85)
    most = max(result.params for result in larger)
    found = notes(larger, budget={"max_params": 2 * most})
    assert has(found, "does not bind") and has(found, "up to 50 % is better")
    assert not has(notes(larger, budget={"max_params": 2 * params}), "bind")
    assert not has(notes(larger, budget={}), "bind")
    both = {"max_params": 10 * params, "max_bytes": 4 * 2 * most}
    assert has(notes(larger, budget=both), "does not bind")


def test_a_budget_that_was_not_tried_is_not_said_to_leave_room() -> None:
    """As where few specs that were drawn fit, or the time was over."""
    params = FAMILIES["cnn"].size(cnn(2, 16), IMAGES).params
    found = notes(searched(0.9), budget={"max_params": 4 * params})
    assert has(found, "Much of the budget was not tried: the best row uses 25 % of it")
    assert has(found, "no network of more than 25 % was trained")
    assert not has(found, "bind")
    lucky = [*finalists(cnn(2, 16), 0.9, 0.9), made_result(cnn(4, 16), 0.95)]
    assert not has(notes(lucky, budget={"max_params": 4 * params}), "budget")


def test_ties_among_finalists_are_counted() -> None:
    found = notes(digits_results())
    assert has(found, "2 of 2 finalists are statistically tied for the best")


def test_smaller_rows_that_were_not_retrained_are_named_if_as_good() -> None:
    """Means of finalists fall below the scores that they were chosen for."""
    small, near, large = (made_result(cnn(d, 16), 0.97) for d in (2, 3, 4))
    retrained = finalists(large.spec, 0.965, 0.975, 0.97)
    note = next(n for n in notes([near, large, *retrained]) if "smaller row" in n)
    assert note.startswith("1 smaller row is within one standard error of the best")
    assert f"cnn 3 x 16 of {near.params:,} params" in note and "--finalists" in note
    found = notes([small, near, large, *retrained])
    assert has(found, "2 smaller rows are") and has(found, f"{small.params:,} params")
    poor = made_result(cnn(2, 16), 0.9)
    assert not has(notes([poor, large, *retrained]), "smaller row")
    assert not has(notes(digits_results()), "smaller row")


def test_notes_say_whether_they_change_what_one_would_do() -> None:
    report = make_report(made_run(), digits_results())
    assert {str(note)[:18]: note.is_decisive for note in report.notes} == {
        "The best cnn has t": True,
        "Much of the budget": False,
        "2 of 2 finalists a": False,
        "1 of 13 trainings ": True,
    }


def test_without_finalists_scores_are_called_luck() -> None:
    found = notes(searched(0.7, 0.895, 0.9))
    assert has(found, "No finalists were retrained: scores")
    assert has(found, "2 rows are within one standard error of the best")
    assert not has(notes(digits_results()), "No finalists")


def test_a_single_seed_above_the_best_is_explained() -> None:
    results = [*digits_results(), made_result(cnn(4, 12), 0.99)]
    found = notes(results)
    assert has(found, "1 row of the search scored above the best with the seeds")
    assert not has(notes(digits_results()), "above the best")


def test_failures_are_counted_with_the_most_frequent_reason() -> None:
    reasons = ["out of\nmemory", "not finite", "not finite."]
    failed = [
        made_result(cnn(3, 8), None, status="failed", reason=reason, seed=seed)
        for seed, reason in enumerate([*reasons, "not finite."])
    ]
    found = notes([*searched(0.9), *failed])
    assert found[-1] == "4 of 5 trainings failed, most often (2) with: not finite."


def test_a_linear_winner_is_called_one() -> None:
    found = notes([majority(0.1), linear(0.95), *searched(0.9)])
    assert found[0] == (
        "The best network is the linear baseline: none that was searched is proved "
        "better."
    )
    assert not has(notes([majority(0.1), linear(0.9), *searched(0.905)]), "baseline")


def test_a_search_of_the_baseline_itself_has_begun() -> None:
    again = made_result(linear().spec, 0.9, seed=2)
    found = notes([majority(0.1), linear(0.9), again], families=["linear"])
    assert not has(found, "No training of the search")


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


def test_what_the_searcher_said_is_a_note() -> None:
    said = search_notes({"notes": ["A sentence of the searcher."]})
    assert list(map(str, said)) == ["A sentence of the searcher."]
    assert not [*search_notes({}), *search_notes({"notes": 5})]


def test_one_is_no_plural() -> None:
    (found,) = [n for n in notes(searched(0.9, undertrained=True)) if "improving" in n]
    assert found.startswith("The only front row was still improving")
    assert not any(" 1 rows" in n or "1 seeds" in n for n in notes(digits_results()))


def measured_fit(trained: Training, **more: Any) -> DeviceFit:
    """A measurement of a network, below what was predicted."""
    fields = {"flash": 20_100, "ram": 4_000, **more}
    return DeviceFit(
        spec=trained.spec, predicted_flash=20_000, predicted_ram=5_000, **fields
    )


def test_what_the_int8_files_of_finalists_reach_is_told() -> None:
    trained = searched(0.7, 0.8)
    first, second = (
        measured_fit(
            training,
            training=training.key,
            score=training.score - 0.05,
            stderr=0.01,
            test_score=0.71,
        )
        for training in trained
    )
    of_other_weights = replace(first, training="of another rate")
    asked = made_run(budget={"max_ram": 5_200})
    report = make_report(asked, [*trained, of_other_weights, second])
    (note,) = [str(each) for each in report.notes if "int8" in str(each)]
    assert "cnn 3 x 16 75.00 ± 1.00 % (those weights in float32 80.00" in note
    assert "cnn 2 x 16" not in note
    text = report_text(report, 200)
    assert "; as an int8 file 75.0 %, and on the test part 71.0 %" in text
    assert "of float32, and a note has those of the files" in text
    found = report_json(report)
    assert found["best"]["int8"]["score"] == second.score
    assert found["best"]["int8"]["test_score"] == 0.71
    assert [row["int8"] for row in found["rows"][1:]] == [None]
    some = replace(second, examples=50)
    short = str(make_report(asked, [*trained, some]).notes)
    assert f"on 50 of {trained[1].examples} examples (those" in short


def test_a_network_that_was_measured_and_not_scored_is_not_called_unmeasured() -> None:
    (trained,) = searched(0.7)
    fit = measured_fit(trained, training=trained.key, unscored="MemoryError: too large")
    budget = {"max_ram": 5_200}
    report = make_report(made_run(budget=budget), [trained, fit])
    found = [*map(str, report.notes)]
    assert has(found, "was not scored as int8 file: MemoryError: too large.")
    assert not has(found, "was not measured")
    half = replace(fit, score=0.65, stderr=0.01)
    found = [*map(str, make_report(made_run(budget=budget), [trained, half]).notes)]
    assert has(found, "was not scored on the test part as int8 file: MemoryError")


def test_a_network_that_turns_out_not_to_fit_a_device_is_named() -> None:
    trained = searched(0.7, 0.8, 0.9)
    fits = [
        measured_fit(training, ram=ram)
        for training, ram in zip(trained, (4_000, 4_900, 5_300), strict=True)
    ]
    budget = {"max_ram": 5_200}
    report = make_report(made_run(budget=budget), [*trained, *fits])
    assert report.best is not None
    assert report.best.depth == 3
    said = "cnn 4 x 16 is no answer: as an int8 file it has ram=5,300 (predicted 5,000)"
    assert has([*map(str, report.notes)], said)
    text = report_text(report)
    assert "and a note has those of the files" not in text
    assert "4.9 kB (5 kB)" in text
    assert "RAM: bytes that TensorFlow Lite Micro needs" in text
    assert not has(notes([*trained, *fits], budget=BINDING), "is no answer")
