"""The recipe's learning rate and optimizer, as Keras has them."""

from typing import Any

import keras

from kscale.building.models import Schedule
from kscale.engine.recipe import Recipe


def make_optimizer(
    recipe: Recipe, examples: int, learning_rate: float, weight_decay: float
) -> keras.Optimizer:
    """AdamW with the recipe's schedule."""
    steps = max(1, recipe.steps_per_epoch(examples)) * recipe.epochs
    return make_adamw(make_schedule(recipe, steps, learning_rate), weight_decay)


def make_schedule(recipe: Recipe, steps: int, learning_rate: float) -> Any:
    """A learning rate that rises, stays and falls, linearly; see `Recipe`."""
    make: Any = Schedule  # has no types, as the code of a network prints it
    return make(steps, learning_rate, recipe.warmup, recipe.cooldown)


def make_adamw(learning_rate: Any, weight_decay: float) -> keras.Optimizer:
    """AdamW; biases, norms and embeddings do not decay."""
    optimizer = keras.optimizers.AdamW(learning_rate, weight_decay=weight_decay)
    optimizer.exclude_from_weight_decay(
        var_names=["bias", "gamma", "beta", "embeddings"]
    )
    return optimizer
