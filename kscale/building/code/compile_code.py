"""Code that compiles a network as it was trained."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kscale.building.code.layout import INDENT, Code, literal, statement
from kscale.building.code.words import constant_names
from kscale.building.keras_calls import call
from kscale.naming import layer_name
from kscale.networks.families.base import head_names
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

# Keras has no place for weights of classes in `compile`.
_WEIGHTED = """

    Rare classes count more: `fit` takes `%s`.
    """


@dataclass(frozen=True)
class TrainingSettings:
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
    def sentence(self) -> str:
        """The settings in words."""
        smoothing = ""
        if self.label_smoothing:
            smoothing = f", label smoothing {self.label_smoothing:g}"
        weighted = ", each class counting the same" if self.class_weights else ""
        return (
            f"Trained with AdamW: learning rate up to {self.learning_rate:g}, rising "
            f"over the first {100 * self.warmup:g} % of the steps and falling to 0 "
            f"over the last {100 * self.cooldown:g} %, weight decay "
            f"{self.weight_decay:g} but for biases, norms and embeddings{smoothing}; "
            f"{self.epochs} epoch{'s' * (self.epochs > 1)} of {self.examples:,} "
            f"examples in batches of {self.batch_size}{weighted}."
        )

    def constants(self, task: Task) -> dict[str, Any]:
        """The numbers that the code of `compile_code` reads, by name."""
        numbers = {name.upper(): value for name, value in vars(self).items()}
        del numbers["CLASS_WEIGHTS"]
        if not self.smooths_rows(task):
            del numbers["LABEL_SMOOTHING"]
        names = _weight_names(task)
        weights = self.class_weights.items()
        return numbers | {names[target]: value for target, value in weights}

    def smooths_rows(self, task: Task) -> bool:
        """Whether a target is smoothed by a loss of one-hot rows."""
        takes = any(target.head.one_hot_loss for target in task.targets)
        return bool(self.label_smoothing) and takes


def compile_code(settings: TrainingSettings, task: Task) -> tuple[str, ...]:
    """The definitions that compile a network for a task; `compile_model` is the last.

    Losses and metrics are those of the heads of the targets.
    """
    heads = dict(zip(map(layer_name, head_names(task)), task.targets, strict=True))
    loss: Any = {name: _loss(target, settings) for name, target in heads.items()}
    metrics: Any = {name: [_metric(target)] for name, target in heads.items()}
    weights, asked = {}, ""
    if len(heads) > 1:
        weights = {"loss_weights": Code("weights")}
        asked = "sample_weight=sample_weight(y)"
    else:
        (loss,), (metrics,) = loss.values(), metrics.values()
        asked = "class_weight=dict(enumerate(CLASS_WEIGHT))"
    arguments = {"loss": Code("loss"), **weights, "metrics": Code("metrics")}
    lines = [
        _COMPILE % (_WEIGHTED % asked if settings.class_weights else ""),
        *statement("loss = ", loss, INDENT),
        *[f"    weights = dict.fromkeys(loss, 1 / {len(heads)})" for _ in weights],
        *statement("metrics = ", metrics, INDENT),
        *statement("", call("model.compile", Code("optimizer"), **arguments), INDENT),
        "    return model",
    ]
    smoothed = [_SMOOTHED] if settings.smooths_rows(task) else []
    weighted = []
    if settings.class_weights and len(heads) > 1:
        weighted = [_sample_weight(heads, settings, _weight_names(task))]
    return (_SCHEDULE, *smoothed, *weighted, "\n".join(lines))


def _loss(target: Target, settings: TrainingSettings) -> Any:
    head, smoothing = target.head, settings.label_smoothing
    if smoothing and head.one_hot_loss:
        return Code("smoothed")
    extra = {"label_smoothing": smoothing} if smoothing and head.smooths else {}
    return call(f"keras.losses.{head.loss.name}", **head.loss.arguments, **extra)


def _metric(target: Target) -> Any:
    watched = target.head.watched
    return call(f"keras.metrics.{watched.name}", **watched.arguments)


def _sample_weight(
    heads: Mapping[str, Target], settings: TrainingSettings, names: Mapping[str, str]
) -> str:
    """What weighs classes of several outputs: Keras' `class_weight` is for one only."""
    values = {
        name: Code(
            f"keras.ops.take({names[target.name]}, y[{literal(name)}])"
            if target.name in settings.class_weights
            else f"keras.ops.ones(len(y[{literal(name)}]))"
        )
        for name, target in heads.items()
    }
    head = (
        "def sample_weight(y):",
        '    """What examples count in the loss of each output."""',
    )
    return "\n".join((*head, *statement("return ", values, INDENT)))


def _weight_names(task: Task) -> dict[str, str]:
    """By target, the constant with the weights of its classes."""
    targets = [target.name for target in task.targets]
    if len(targets) == 1:
        return {targets[0]: "CLASS_WEIGHT"}
    prefixes = constant_names(targets)
    pairs = zip(targets, prefixes, strict=True)
    return {target: f"{prefix}_CLASS_WEIGHT" for target, prefix in pairs}
