"""How the networks of a run were trained, told by its description."""

from collections.abc import Mapping
from typing import Any

from kscale.building.code.training import Training
from kscale.data.class_weights import weights_of_run
from kscale.engine.recipe import Recipe
from kscale.runs.entries import Entry


def training_of(description: Mapping[str, Any], entry: Entry) -> Training:
    """How an entry was trained.

    Args:
        description: What the `run.json` of its run says.
        entry: Of a family.
    """
    knobs = dict(entry.spec.knobs)
    batch = int(description["identity"]["batch_size"])
    recipe = Recipe(entry.epochs, batch)
    return Training(
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
