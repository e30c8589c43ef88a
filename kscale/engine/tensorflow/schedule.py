"""The recipe's learning rate and optimizer, as Keras has them."""

from typing import Any

import keras

from kscale.engine.recipe import Recipe


class WarmupSteadyCooldown(keras.optimizers.schedules.LearningRateSchedule):
    """A learning rate that rises, stays and falls, linearly; see `Recipe`."""

    def __init__(self, peak: float, steps: int, warmup: float, cooldown: float) -> None:
        self.peak = peak
        self.steps = steps
        self.warmup = warmup
        self.cooldown = cooldown

    def __call__(self, step: Any) -> Any:
        done = (keras.ops.cast(step, "float32") + 1.0) / self.steps
        rising = done / max(self.warmup, 1.0 / self.steps)
        falling = (1.0 + 0.5 / self.steps - done) / max(self.cooldown, 1e-9)
        share = keras.ops.minimum(1.0, keras.ops.minimum(rising, falling))
        return self.peak * keras.ops.maximum(share, 0.0)

    def get_config(self) -> dict[str, Any]:
        """Arguments that make the same schedule."""
        return {
            "peak": self.peak,
            "steps": self.steps,
            "warmup": self.warmup,
            "cooldown": self.cooldown,
        }


def make_optimizer(
    recipe: Recipe, examples: int, learning_rate: float, weight_decay: float
) -> keras.Optimizer:
    """AdamW with the recipe's schedule."""
    steps = max(1, recipe.steps_per_epoch(examples)) * recipe.epochs
    schedule = WarmupSteadyCooldown(
        learning_rate, steps, recipe.warmup, recipe.cooldown
    )
    return make_adamw(schedule, weight_decay)


def make_adamw(learning_rate: Any, weight_decay: float) -> keras.Optimizer:
    """AdamW; biases, norms and embeddings do not decay."""
    optimizer = keras.optimizers.AdamW(learning_rate, weight_decay=weight_decay)
    optimizer.exclude_from_weight_decay(
        var_names=["bias", "gamma", "beta", "embeddings"]
    )
    return optimizer
