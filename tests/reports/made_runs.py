"""Runs made by hand, small enough to follow each number of their reports."""

from dataclasses import replace
from typing import Any

from kscale.networks.families import FAMILIES
from kscale.networks.families.base import Spec
from kscale.reports.report import Report
from kscale.reports.summary import summary_text
from kscale.run import Run
from kscale.runs.records import Evaluation, Record, Reference, Training, training_key
from kscale.task.tasks import Task

IMAGES = Task.of("image", (8, 8, 1), classes=10)
TABLE = Task.of("vector", (13,), values=1)


def made_run(task: Task = IMAGES, **identity: Any) -> dict[str, Any]:
    """What `read_run` gives for a search of cnn on digits."""
    return {
        "identity": {
            "data": "digits",
            "data_fingerprint": "0",
            "families": ["cnn"],
            "set": {},
            "search": [],
            "budget": {"max_params": 20_000, "max_flops": None, "max_bytes": None},
            "seed": 0,
            "objective": task.targets[0].head.metric,
            "epochs": 20,
            "batch_size": 64,
            "seeds": 3,
            **identity,
        },
        "task": task.to_json(),
        "data": {"name": "digits", "train": 1149, "validation": 288, "test": 360},
        "sessions": [],
    }


def cnn(depth: int, width: int, **knobs: Any) -> Spec:
    """A cnn with every other knob at its default."""
    return FAMILIES["cnn"].spec(depth=depth, width=width, **knobs)


def made_result(
    spec: Spec, score: float | None, stage: Any = "search", **changes: Any
) -> Training:
    """A finished training of a spec on 288 images, with its exact size."""
    size = None
    if spec.family in FAMILIES:
        size = FAMILIES[spec.family].size(spec, changes.pop("task", IMAGES))
    given: dict[str, Any] = {
        "job": 0,
        "params": size.params if size else 0,
        "trainable": size.trainable if size else 0,
        "flops": size.flops if size else 0,
        "bytes": size.weight_bytes() if size else 0,
        "seed": 1,
        "learning_rate": 0.003,
        "epochs": 20,
        "score": score,
        "stderr": 0.01,
        "examples": 288,
        "seconds": 2.0,
    }
    given |= changes
    decided = (given[name] for name in ("learning_rate", "seed", "epochs"))
    return Training(
        key=training_key(stage, spec, *decided), stage=stage, spec=spec, **given
    )


def made_test(spec: Spec, score: float | None, **changes: Any) -> Evaluation:
    """The test of a training that `made_result` gives, on 360 images."""
    given = {"learning_rate": 0.003, "seed": 1, "epochs": 20, "stderr": 0.01}
    return Evaluation(spec=spec, score=score, **{**given, "examples": 360, **changes})


def reference(name: Any, score: float, params: int = 0, **changes: Any) -> Reference:
    """The score of a reference on 288 images."""
    given: dict[str, Any] = {
        "params": params,
        "trainable": params,
        "flops": 0,
        "bytes": 4 * params,
        "stderr": 0.01,
        "examples": 288,
        "seconds": 2.0,
    }
    return Reference(name=name, score=score, **{**given, **changes})


def majority(score: float = 0.1, **changes: Any) -> Reference:
    """The reference that always answers the most frequent class, or the mean."""
    return reference("majority", score, **changes)


def linear(score: float = 0.9, **changes: Any) -> Training:
    """The trained linear baseline."""
    return made_result(FAMILIES["linear"].spec(), score, "baseline", **changes)


def digits_results() -> list[Record]:
    """Two baselines, six specs searched (one failed), two finalists, tests of both."""
    small, middle, large = cnn(2, 8), cnn(3, 8), cnn(4, 8)
    results: list[Record] = [majority(), linear()]
    results += [
        made_result(spec, score, job=job)
        for job, (spec, score) in enumerate(
            [
                (cnn(1, 8), 0.60),
                (small, 0.93),
                (cnn(2, 16), 0.92),
                (middle, 0.965),
                (large, 0.975),
            ]
        )
    ]
    results.append(
        made_result(cnn(3, 12), None, status="failed", reason="out of memory", job=5)
    )
    for spec, scores in ((large, (0.97, 0.975, 0.98)), (middle, (0.96, 0.965, 0.97))):
        results += [
            made_result(spec, score, "finalist", seed=10 + member, member=member)
            for member, score in enumerate(scores)
        ]
    tests = (made_test(large, 0.96, seed=10), made_test(middle, 0.95, seed=10))
    return [*results, *tests]


def without_law(report: Report) -> Report:
    """A report whose text stays the same where laws are fitted in another way."""
    return replace(report, sizes="No law is shown here.")


def summary_of(run: Run) -> str:
    """What the search of a run ends with, which has at most 30 lines of 100 columns."""
    text = summary_text(run.report(), run.folder, 100)
    assert text.count("\n") <= 30 and max(map(len, text.splitlines())) <= 100
    return text
