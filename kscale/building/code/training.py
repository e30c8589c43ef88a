"""Code that compiles a network as it was trained."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kscale.building.code.layout import literal
from kscale.building.code.words import constant_names
from kscale.naming import layer_name
from kscale.networks.families.base import head_names
from kscale.task.heads.base import KerasCall
from kscale.task.tasks import Target, Task

_SCHEDULE = '''\
@keras.saving.register_keras_serializable("kscale")
class Schedule(keras.optimizers.schedules.LearningRateSchedule):
    """Rises to the learning rate, stays, and falls to 0 over the last steps."""

    def __init__(self, steps, rate=LEARNING_RATE, warmup=WARMUP, cooldown=COOLDOWN):
        self.steps, self.rate = steps, rate
        self.warmup, self.cooldown = warmup, cooldown

    def __call__(self, step):
        done = (keras.ops.cast(step, "float32") + 1) / self.steps
        rising = done / max(self.warmup, 1 / self.steps)
        falling = (1 + 0.5 / self.steps - done) / max(self.cooldown, 1e-9)
        return self.rate * keras.ops.clip(keras.ops.minimum(rising, falling), 0, 1)

    def get_config(self):
        return dict(vars(self))'''

_SMOOTHED = '''\
@keras.saving.register_keras_serializable("kscale")
def smoothed(labels, logits):
    """Crossentropy of class ids, with a share of the label spread over all classes."""
    wanted = keras.ops.one_hot(keras.ops.reshape(labels, (-1,)), logits.shape[-1])
    return keras.losses.categorical_crossentropy(
        wanted, logits, from_logits=True, label_smoothing=LABEL_SMOOTHING
    )'''

_COMPILE = '''\
def compile_model(model, examples=EXAMPLES):
    """Compile for `fit(x, y, batch_size=BATCH_SIZE, epochs=EPOCHS)` of examples.%s"""
    steps = max(1, examples // BATCH_SIZE) * EPOCHS
    optimizer = keras.optimizers.AdamW(Schedule(steps), weight_decay=WEIGHT_DECAY)
    optimizer.exclude_from_weight_decay(
        var_names=["bias", "gamma", "beta", "embeddings"]
    )'''

# Keras has no place for them in `compile`.
_WEIGHTED = """

    Rare classes count more: `fit` takes `%s`.
    """


@dataclass(frozen=True)
class Training:
    """How a network was trained.

    Args:
        learning_rate: Largest learning rate.
        weight_decay, label_smoothing: As the knobs of these names.
        epochs: Epochs of the training.
        batch_size: Examples a step.
        examples: Examples of the training part.
        warmup, cooldown: Shares of the steps in which the rate rises and falls.
        class_weights: By target, what an example of each class counted in the loss.
    """

    learning_rate: float
    weight_decay: float
    label_smoothing: float
    epochs: int
    batch_size: int
    examples: int
    warmup: float
    cooldown: float
    class_weights: Mapping[str, tuple[float, ...]] = field(default_factory=dict)

    @property
    def words(self) -> str:
        """How, in one sentence."""
        smoothing = ""
        if self.label_smoothing:
            smoothing = f", label smoothing {self.label_smoothing:g}"
        return (
            f"Trained with AdamW: learning rate up to {self.learning_rate:g}, rising "
            f"over the first {100 * self.warmup:g} % of the steps and falling to 0 "
            f"over the last {100 * self.cooldown:g} %, weight decay "
            f"{self.weight_decay:g} but for biases, norms and embeddings{smoothing}; "
            f"{self.epochs} epoch{'s' * (self.epochs > 1)} of {self.examples:,} "
            "examples in batches of "
            f"{self.batch_size}{', each class counting the same' * self._weighs}."
        )

    @property
    def _weighs(self) -> bool:
        return bool(self.class_weights)

    def constants(self, task: Task) -> dict[str, Any]:
        """The numbers that `code` reads."""
        numbers = {name.upper(): value for name, value in vars(self).items()}
        del numbers["CLASS_WEIGHTS"]
        if not self._smooths(task):
            del numbers["LABEL_SMOOTHING"]
        names = _weight_names(task)
        weights = self.class_weights.items()
        return numbers | {names[target]: value for target, value in weights}

    def code(self, task: Task) -> tuple[str, ...]:
        """The definitions that compile a network for a task."""
        smoothed = (_SMOOTHED,) if self._smooths(task) else ()
        several = self._weighs and len(task.targets) > 1
        weighted = (self._sample_weight(task),) if several else ()
        compiled = _COMPILE % self._asked_of_fit(task)
        return (_SCHEDULE, *smoothed, *weighted, f"{compiled}\n{self._losses(task)}")

    def _asked_of_fit(self, task: Task) -> str:
        if not self._weighs:
            return ""
        if len(task.targets) > 1:
            return _WEIGHTED % "sample_weight=sample_weight(y)"
        return _WEIGHTED % "class_weight=dict(enumerate(CLASS_WEIGHT))"

    def _sample_weight(self, task: Task) -> str:
        """Keras takes `class_weight` for one output only."""
        heads = [literal(layer_name(name)) for name in head_names(task)]
        names = _weight_names(task)
        values = [
            f"keras.ops.take({names[target.name]}, y[{head}])"
            if target.name in self.class_weights
            else f"keras.ops.ones(len(y[{head}]))"
            for target, head in zip(task.targets, heads, strict=True)
        ]
        return (
            "def sample_weight(y):\n"
            '    """What examples count in the loss of each output."""\n'
            f"    return {_by_head(heads, values)}"
        )

    def _smooths(self, task: Task) -> bool:
        takes = any(target.head.one_hot_loss for target in task.targets)
        return bool(self.label_smoothing) and takes

    def _losses(self, task: Task) -> str:
        losses = [self._loss(target) for target in task.targets]
        metrics = [
            f"[{_made('metrics', target.head.watched)}]" for target in task.targets
        ]
        if len(losses) == 1:
            return (
                f"    loss = {losses[0]}\n"
                f"    metrics = {metrics[0]}\n"
                "    model.compile(optimizer, loss=loss, metrics=metrics)\n"
                "    return model"
            )
        heads = [literal(layer_name(name)) for name in head_names(task)]
        return (
            f"    loss = {_by_head(heads, losses)}\n"
            f"    weights = dict.fromkeys(loss, 1 / {len(heads)})\n"
            f"    metrics = {_by_head(heads, metrics)}\n"
            "    model.compile(\n"
            "        optimizer, loss=loss, loss_weights=weights, metrics=metrics\n"
            "    )\n"
            "    return model"
        )

    def _loss(self, target: Target) -> str:
        head = target.head
        if self.label_smoothing and head.one_hot_loss:
            return "smoothed"
        extra = {}
        if self.label_smoothing and head.smooths:
            extra = {"label_smoothing": self.label_smoothing}
        return _made("losses", head.loss, **extra)


def _weight_names(task: Task) -> dict[str, str]:
    """By target, the constant with the weights of its classes."""
    targets = [target.name for target in task.targets]
    if len(targets) == 1:
        return {targets[0]: "CLASS_WEIGHT"}
    prefixes = constant_names(targets)
    pairs = zip(targets, prefixes, strict=True)
    return {target: f"{prefix}_CLASS_WEIGHT" for target, prefix in pairs}


def _made(module: str, call: KerasCall, **extra: Any) -> str:
    """The line that makes a loss or a metric of Keras."""
    arguments = {**call.arguments, **extra}
    shown = ", ".join(f"{name}={literal(value)}" for name, value in arguments.items())
    return f"keras.{module}.{call.name}({shown})"


def _by_head(heads: list[str], values: list[str]) -> str:
    pairs = zip(heads, values, strict=True)
    items = "".join(f"        {head}: {value},\n" for head, value in pairs)
    return f"{{\n{items}    }}"
