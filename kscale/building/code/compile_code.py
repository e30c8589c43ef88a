"""Code that compiles a network as it was trained.

What holds for all networks stands in `compile_code.txt`: the loss with label smoothing,
and the beginning of `compile_model`. The schedule is that of `kscale.building.models`.
"""

from collections.abc import Mapping
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


def compile_code(
    settings: TrainingSettings, task: Task
) -> tuple[dict[str, Any], list[str]]:
    """Numbers by name, and the definitions that compile a network for a task with them.

    Losses and metrics are those of the heads of the targets.
    """
    heads = dict(zip(map(layer_name, head_names(task)), task.targets, strict=True))
    names = _weight_names(settings, task)
    text = files("kscale.building.code").joinpath("compile_code.txt").read_text("utf-8")
    smoothed, start = text.rstrip().split("\n\n\n")
    losses = {name: _loss(target, settings) for name, target in heads.items()}
    definitions = [texts_of_models()["Schedule"]]
    definitions += [smoothed] if "smoothed" in losses.values() else []
    asked = "class_weight=dict(enumerate(CLASS_WEIGHT))"
    if names and len(heads) > 1:
        definitions.append(_sample_weight(heads, names))
        asked = "sample_weight=sample_weight(y)"
    start = start.replace("{weighted}", _WEIGHTED % asked if names else "")
    definitions.append("\n".join((start, *_compile_lines(heads, losses))))
    numbers = {name.upper(): value for name, value in vars(settings).items()}
    numbers |= {names[name]: settings.class_weights[name] for name in names}
    code = "\n".join(definitions)
    return {name: it for name, it in numbers.items() if name in code}, definitions


def _compile_lines(heads: Mapping[str, Target], losses: Mapping[str, Any]) -> list[str]:
    """The lines of `compile_model` that differ between tasks."""
    watched = {name: target.head.watched for name, target in heads.items()}
    metrics = {
        name: [call(f"keras.metrics.{metric.name}", **metric.arguments)]
        for name, metric in watched.items()
    }
    weights = {"loss_weights": Code("weights")} if len(heads) > 1 else {}
    options = {"loss": Code("loss"), **weights, "metrics": Code("metrics")}
    return [
        *statement("loss = ", single_or_named(losses), INDENT),
        *[f"    weights = dict.fromkeys(loss, 1 / {len(heads)})" for _ in weights],
        *statement("metrics = ", single_or_named(metrics), INDENT),
        *statement("", call("model.compile", Code("optimizer"), **options), INDENT),
        "    return model",
    ]


def _loss(target: Target, settings: TrainingSettings) -> Any:
    head, smoothing = target.head, settings.label_smoothing
    if smoothing and head.one_hot_loss:
        return Code("smoothed")
    extra = {"label_smoothing": smoothing} if smoothing and head.is_named else {}
    return call(f"keras.losses.{head.loss.name}", **head.loss.arguments, **extra)


def _sample_weight(heads: Mapping[str, Target], names: Mapping[str, str]) -> str:
    """What weighs classes of several outputs: Keras' `class_weight` is for one only."""
    values = {
        head: Code(
            f"keras.ops.take({names[target.name]}, y[{literal(head)}])"
            if target.name in names
            else f"keras.ops.ones(len(y[{literal(head)}]))"
        )
        for head, target in heads.items()
    }
    start = (
        "def sample_weight(y):",
        '    """What examples count in the loss of each output."""',
    )
    return "\n".join((*start, *statement("return ", values, INDENT)))


def _weight_names(settings: TrainingSettings, task: Task) -> dict[str, str]:
    """By target whose classes are weighted, the constant with the weights."""
    targets = [target.name for target in task.targets]
    prefixes = [f"{name}_" for name in constant_names(targets)]
    pairs = zip(targets, prefixes if len(targets) > 1 else [""], strict=True)
    weights = settings.class_weights
    return {name: f"{prefix}CLASS_WEIGHT" for name, prefix in pairs if name in weights}
