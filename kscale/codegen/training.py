"""Code that compiles a network as it was trained."""

from dataclasses import dataclass

from kscale.codegen.source import Name, literal
from kscale.families.base import head_names
from kscale.task import Target, Task

_SCHEDULE = '''\
class Schedule(keras.optimizers.schedules.LearningRateSchedule):
    """Rises to the learning rate, stays, and falls to 0 over the last steps."""

    def __init__(self, steps):
        self.steps = steps

    def __call__(self, step):
        done = (keras.ops.cast(step, "float32") + 1) / self.steps
        rising = done / max(WARMUP, 1 / self.steps)
        falling = (1 + 0.5 / self.steps - done) / max(COOLDOWN, 1e-9)
        return LEARNING_RATE * keras.ops.clip(keras.ops.minimum(rising, falling), 0, 1)

    def get_config(self):
        return {"steps": self.steps}'''

_SMOOTHED = '''\
def smoothed(labels, logits):
    """Crossentropy of class ids, with a share of the label spread over all classes."""
    wanted = keras.ops.one_hot(keras.ops.reshape(labels, (-1,)), logits.shape[-1])
    return keras.losses.categorical_crossentropy(
        wanted, logits, from_logits=True, label_smoothing=LABEL_SMOOTHING
    )'''

_COMPILE = '''\
def compile_model(model, examples=EXAMPLES):
    """Compile for `fit(x, y, batch_size=BATCH_SIZE, epochs=EPOCHS)` of examples."""
    steps = max(1, examples // BATCH_SIZE) * EPOCHS
    optimizer = keras.optimizers.AdamW(Schedule(steps), weight_decay=WEIGHT_DECAY)
    optimizer.exclude_from_weight_decay(
        var_names=["bias", "gamma", "beta", "embeddings"]
    )'''


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
    """

    learning_rate: float
    weight_decay: float
    label_smoothing: float
    epochs: int
    batch_size: int
    examples: int
    warmup: float
    cooldown: float

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
            f"{self.epochs} epochs of {self.examples:,} examples in batches of "
            f"{self.batch_size}."
        )

    def constants(self, task: Task) -> dict[str, float]:
        """The numbers that `training_code` reads."""
        numbers = {name.upper(): value for name, value in vars(self).items()}
        if not self._smooths(task):
            del numbers["LABEL_SMOOTHING"]
        return numbers

    def code(self, task: Task) -> tuple[str, ...]:
        """The definitions that compile a network for a task."""
        smoothed = (_SMOOTHED,) if self._smooths(task) else ()
        return (_SCHEDULE, *smoothed, f"{_COMPILE}\n{self._losses(task)}")

    def _smooths(self, task: Task) -> bool:
        has_classes = any(target.kind == "classes" for target in task.targets)
        return bool(self.label_smoothing) and has_classes

    def _losses(self, task: Task) -> str:
        losses = [self._loss(target) for target in task.targets]
        metrics = [f"[{_metric(target)}]" for target in task.targets]
        if len(losses) == 1:
            return (
                f"    loss = {losses[0]}\n"
                f"    metrics = {metrics[0]}\n"
                "    model.compile(optimizer, loss=loss, metrics=metrics)\n"
                "    return model"
            )
        heads = [str(Name() + name) for name in head_names(task)]
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
        if target.kind == "real":
            return "keras.losses.MeanSquaredError()"
        if self.label_smoothing:
            return "smoothed"
        return "keras.losses.SparseCategoricalCrossentropy(from_logits=True)"


def _metric(target: Target) -> str:
    if target.kind == "real":
        return "keras.metrics.RootMeanSquaredError()"
    return f"keras.metrics.SparseCategoricalAccuracy(name={literal(target.metric)})"


def _by_head(heads: list[str], values: list[str]) -> str:
    pairs = zip(heads, values, strict=True)
    items = "".join(f"        {head}: {value},\n" for head, value in pairs)
    return f"{{\n{items}    }}"
