"""Code that compiles a network as it was trained.

What holds for all networks stands in `compile_code.txt`: the loss with label smoothing,
and the beginning of `compile_model`. The schedule is that of `kscale.building.models`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

from kscale.building.code.layout import INDENT, Code, literal, statement
from kscale.building.code.network import texts_of_models
from kscale.building.code.words import constant_names
from kscale.building.keras_calls import call
from kscale.naming import layer_name, single_or_named
from kscale.networks.families.base import head_names
from kscale.task.tasks import Target, Task
from kscale.text import counted

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
            f"{counted(self.epochs, 'epoch')} of {self.examples:,} "
            f"examples in batches of {self.batch_size}{weighted}."
        )


def compile_code(
    settings: TrainingSettings, task: Task
) -> tuple[dict[str, Any], list[str]]:
    """Numbers by name, and the definitions that compile a network for a task with them.

    Losses and metrics are those of the heads of the targets.
    """
    heads = dict(zip(map(layer_name, head_names(task)), task.targets, strict=True))
    several = len(heads) > 1
    numbers = {name.upper(): value for name, value in vars(settings).items()}
    weights: dict[str, Code] = {}
    prefixes = constant_names(target.name for target in task.targets)
    for (head, target), prefix in zip(heads.items(), prefixes, strict=True):
        if target.name in settings.class_weights:
            weights[head] = Code(f"{f'{prefix}_' * several}CLASS_WEIGHT")
            numbers[weights[head]] = settings.class_weights[target.name]
    text = files("kscale.building.code").joinpath("compile_code.txt").read_text("utf-8")
    smoothed, weighing, compiling = text.rstrip().split("\n\n\n")
    losses = {head: _loss(target, settings) for head, target in heads.items()}
    definitions = [texts_of_models()["Schedule"]]
    definitions += [smoothed] * ("smoothed" in losses.values())
    asked = "class_weight=dict(enumerate(CLASS_WEIGHT))"
    if weights and several:
        values = _sample_weight(heads, weights)
        definitions.append(weighing.replace("{values}", values))
        asked = "sample_weight=sample_weight(y)"
    watched = {head: target.head.watched for head, target in heads.items()}
    metrics = {
        head: [call(f"keras.metrics.{metric.name}", **metric.arguments)]
        for head, metric in watched.items()
    }
    lines = statement("loss = ", single_or_named(losses), INDENT)
    lines += [f"{INDENT}weights = dict.fromkeys(loss, 1 / {len(heads)})"] * several
    lines += statement("metrics = ", single_or_named(metrics), INDENT)
    compiling = compiling.replace("{weighted}", _WEIGHTED % asked if weights else "")
    compiling = compiling.replace("{weights}", "loss_weights=weights, " * several)
    definitions.append(compiling.replace("{lines}", "\n".join(lines)))
    code = "\n".join(definitions)
    return {name: it for name, it in numbers.items() if name in code}, definitions


def _loss(target: Target, settings: TrainingSettings) -> Any:
    head, smoothing = target.head, settings.label_smoothing
    if smoothing and head.one_hot_loss:
        return Code("smoothed")
    extra = {"label_smoothing": smoothing} if smoothing and head.is_named else {}
    return call(f"keras.losses.{head.loss.name}", **head.loss.arguments, **extra)


def _sample_weight(heads: Iterable[str], weights: Mapping[str, Code]) -> str:
    """What weighs classes of several outputs: Keras' `class_weight` is for one only."""
    labels = {head: Code(f"y[{literal(head)}]") for head in heads}
    values = {
        head: call("keras.ops.take", weights[head], labels[head])
        if head in weights
        else call("keras.ops.ones", call("len", labels[head]))
        for head in heads
    }
    return "\n".join(statement("return ", values, INDENT))
