"""What a report says of its answers beside baselines, and when nothing was learned."""

from typing import Any

import numpy as np
import pytest
from made_runs import (
    cnn,
    digits_results,
    linear,
    made_result,
    made_run,
    made_test,
    majority as constant,
)

from kscale.networks.families import FAMILIES
from kscale.reports.evidence import is_learned, verdict_lines
from kscale.reports.present import sentences_of
from kscale.reports.rows import Report, make_report
from kscale.reports.run_tables import report_json
from kscale.runs.records import Evaluation, Record, Reference
from kscale.task.evaluation import Pairs, evaluate, evaluate_test
from kscale.task.objectives import task_objective
from kscale.task.tasks import Target, Task

CLASSES = Target("y", "classes", 3)
MLP = FAMILIES["mlp"].spec(depth=1, width=8)


def drawn(
    *targets: Target,
    knows: Any = (0.0,),
    linear_knows: float | None = None,
    name: str | None = None,
    seed: int = 0,
) -> Report:
    """The report of a network that knows so much of each target, on 90 examples, and of
    a linear baseline of the last target if there is to be one."""
    rng = np.random.default_rng(seed)
    task = Task(Task.of("vector", (9,), values=1).inputs, targets)
    objective = task_objective(name, task)
    answers: Pairs = {}
    always: Pairs = {}
    for target, known in zip(targets, knows, strict=True):
        labels, given = answered(rng, target, known)
        metric = dict(objective.parts).get(target.name, objective).name
        constant = target.head.constant(labels, target.outputs, metric)
        rows = np.tile(constant, (len(labels), 1))
        answers, always = (
            {**answers, target.name: (labels, given)},
            {**always, target.name: (labels, rows)},
        )
    size: Any = {"params": 0, "trainable": 0, "flops": 0, "bytes": 0}
    score = evaluate(objective, task, answers).score
    tests = (evaluate_test(objective, task, each) for each in (answers, always))
    of_network, of_constant = map(vars, tests)
    records: list[Record] = [
        Reference(name="majority", score=score, **size),
        Reference(name="majority", part="test", **size, **of_constant),
        made_result(MLP, score, task=task),
        Evaluation(spec=MLP, learning_rate=0.003, seed=1, epochs=20, **of_network),
    ]
    if linear_knows is not None:
        pairs = {target.name: answered(rng, target, linear_knows)}
        of_linear = vars(evaluate_test(objective, task, pairs))
        spec = FAMILIES["linear"].spec()
        records += [
            made_result(spec, score - 0.1, stage="baseline", task=task),
            Evaluation(spec=spec, learning_rate=0.003, seed=1, epochs=20, **of_linear),
        ]
    return make_report(made_run(task, families=["mlp"], objective=name), records)


def answered(rng: np.random.Generator, target: Target, knows: float) -> Any:
    """Labels, and what a network gives that knows so much of them."""
    if target.kind == "real":
        labels = rng.normal(size=(90, 1))
        return labels, min(knows, 1.0) * labels + 0.3 * rng.normal(size=(90, 1))
    if target.kind == "labels":
        labels = (rng.random((90, target.outputs)) < 0.3).astype(int)
        given = rng.normal(size=labels.shape) + knows * labels
        return labels, target.head.activate(given - 0.5)
    share = np.r_[0.8, [0.2 / (target.outputs - 1)] * (target.outputs - 1)]
    uneven = share if target.name == "uneven" else None
    labels = rng.choice(target.outputs, 90, p=uneven)
    given = rng.normal(size=(90, target.outputs))
    given += knows * np.eye(target.outputs)[labels]
    if uneven is not None:
        given += 3 * np.log(share)
    return labels, target.head.activate(given)


def compared(*tests: Record, **changes: Any) -> dict[str, str]:
    """Sentences of a search whose best network and baselines have these tests."""
    records = [constant(0.1), linear(0.9), made_result(cnn(2, 16), 0.95, **changes)]
    return dict(sentences_of(make_report(made_run(), [*records, *tests])))


def evaluations(**changes: Any) -> list[Record]:
    return [
        made_test(cnn(2, 16), 0.94, **changes),
        made_test(linear().spec, 0.93, **changes),
        constant(0.11, part="test", examples=360, **changes),
    ]


def test_answers_are_compared_with_both_baselines_example_by_example() -> None:
    left_out = [0.9, 0.92]
    sentences = compared(*evaluations(left_out=left_out))
    # the jackknife finds no difference; to it comes 1 / 360
    assert sentences["best and recommended against baselines"] == (
        "better than a constant answer by 83.0 ± 0.3 points, better than the linear "
        "baseline by 1.0 ± 0.3 points, on the same 360 test examples"
    )


def test_without_the_examples_both_errors_count() -> None:
    sentences = compared(*evaluations())
    assert sentences["best and recommended against baselines"] == (
        "better than a constant answer by 83.0 ± 1.4 points, not clearly better than "
        "the linear baseline (by 1.0 ± 1.4 points), on the 360 test examples"
    )


def test_without_a_test_the_part_that_chose_is_named() -> None:
    assert (
        "on the 288 validation examples, which chose it"
        in (compared()["best and recommended against baselines"])
    )


def test_each_answer_is_compared_and_the_json_has_the_same() -> None:
    document = report_json(make_report(made_run(), digits_results()))
    found = [(c["answer"], c["baseline"]) for c in document["comparisons"]]
    assert found == [
        (answer, baseline)
        for answer in ("best", "recommended")
        for baseline in ("majority", "linear")
    ]
    assert document["learned"] is True
    assert document["comparisons"][0]["gain"] == pytest.approx(0.875)


KINDS = [
    (CLASSES, None),
    (CLASSES, "f1"),  # answers dealt at random have more of it than a constant answer
    (Target("y", "classes", 2), "auc"),
    (Target("uneven", "classes", 2), None),
    (Target("y", "labels", 4), None),
    (Target("y", "real", 1), None),
    (Target("y", "real", 1), "mae"),
]


@pytest.mark.parametrize(("target", "name"), KINDS)
def test_labels_that_say_nothing_are_called_so_and_others_are_not(
    target: Target, name: str | None
) -> None:
    # 35 of 1,000 may be luck, so 2 of 5 are by chance in 1 of 100; `false_findings`
    # counts how many
    found = [drawn(target, name=name, seed=seed) for seed in range(5)]
    assert sum(is_learned(report) is False for report in found) >= 4
    report = next(report for report in found if is_learned(report) is False)
    first, text = sentences_of(report)[0]
    assert first == "nothing was learned"
    assert "follow the labels no more than chance would" in text
    for seed in range(2):
        report = drawn(target, knows=(2.0,), name=name, seed=seed)
        assert is_learned(report)
        assert sentences_of(report)[0][0] == "best and recommended"


def test_answers_in_order_are_knowledge_though_a_constant_is_right_as_often() -> None:
    report = drawn(Target("uneven", "classes", 2), knows=(1.0,))
    assert report.best is not None and report.best.test_score is not None
    (item,) = report_json(report)["comparisons"]
    assert not item["is_clear"]
    assert is_learned(report)


def test_what_the_linear_baseline_learned_was_learned() -> None:
    assert is_learned(drawn(CLASSES, knows=(0.0,), linear_knows=0.0)) is False
    assert is_learned(drawn(CLASSES, knows=(0.0,), linear_knows=2.0)) is True


def test_of_several_targets_the_unlearned_is_named() -> None:
    price, kind = Target("price", "real", 1), Target("kind", "classes", 3)
    report = drawn(price, kind, knows=(2.0, 0.0))
    assert is_learned(report)
    assert "Nothing was learned of kind: on the test part" in str(report.notes[0])
    report = drawn(price, kind, knows=(0.0, 0.0))
    (line,) = verdict_lines(report)
    assert "follow price no more than" in line[1] and "follow kind no more" in line[1]


def test_before_the_test_the_best_of_more_networks_must_be_further_ahead() -> None:
    def searched(number: int) -> bool | None:
        found = [made_result(cnn(2, 8 + i), 0.13, stderr=0.01) for i in range(number)]
        return is_learned(make_report(made_run(), [constant(0.1), *found]))

    # 3 points, of which the error is 1.4
    assert searched(1) is False
    assert [searched(number) for number in (2, 30)] == [False, False]
    near = [constant(0.1), made_result(cnn(2, 8), 0.135)]
    assert is_learned(make_report(made_run(), near))
    many = [*near, *(made_result(cnn(1, 9 + i), 0.1) for i in range(11))]
    report = make_report(made_run(), many)
    assert is_learned(report) is False
    name, text = sentences_of(report)[0]
    assert name == "nothing is learned so far" and "the best of 12 networks are" in text


def test_without_a_constant_answer_and_metrics_nothing_is_claimed() -> None:
    report = make_report(made_run(), [made_result(cnn(2, 8), 0.5)])
    assert is_learned(report) is None
    assert not list(verdict_lines(report))
    assert is_learned(make_report(made_run(), [])) is None
