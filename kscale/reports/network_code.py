"""Subject of the code of a network: its training, from the description of a run."""

from collections.abc import Mapping
from typing import Any

from kscale.building.code.compile_code import TrainingSettings
from kscale.building.code.module import Subject
from kscale.data.class_weights import weights_of_run
from kscale.data.preprocessing import preprocessings_from_json
from kscale.data.scaling import scalings_from_json
from kscale.engine.recipe import Recipe
from kscale.runs.entries import Entry
from kscale.task.objectives import Objective, metric_name
from kscale.task.tasks import Task
from kscale.text import printable


def subject_of(
    description: Mapping[str, Any], entry: Entry, task: Task, objective: Objective
) -> Subject:
    """What the code of an entry is written from.

    Args:
        description: What the `run.json` of the run says.
        entry: A network of a family.
        task: What the network was trained for.
        objective: What the score is.
    """
    data = str(description["data"].get("name", "data"))
    return Subject(
        entry.spec,
        task,
        entry.params,
        _result(entry, objective, data),
        _settings(description, entry),
        preprocessings_from_json(description.get("preprocessing", {})),
        scalings_from_json(description.get("target_scaling", {})),
    )


def _result(entry: Entry, objective: Objective, data: str) -> str:
    factor, unit = (100, " %") if objective.is_share else (1, "")
    score, error = factor * entry.score, factor * entry.stderr
    seeds = len(entry.results)
    return (
        f"Its {metric_name(objective)} on the validation part of {printable(data)} was "
        f"{score:.4g} ± {error:.2g}{unit}, the mean of {seeds} "
        f"{'training' if seeds == 1 else 'trainings'}."
    )


def _settings(description: Mapping[str, Any], entry: Entry) -> TrainingSettings:
    knobs = dict(entry.spec.knobs)
    batch = int(description["identity"]["batch_size"])
    recipe = Recipe(entry.epochs, batch)
    return TrainingSettings(
        float(entry.learning_rate or 0.0),
        float(knobs["weight_decay"]),
        float(knobs["label_smoothing"]),
        recipe.epochs,
        recipe.batch_size,
        int(description["data"]["train"]),
        recipe.warmup,
        recipe.cooldown,
        weights_of_run(description),
    )
