"""The whole module of code: what the network is, its numbers, and its functions.

What compiles any network stands in `compile_code.txt`: the loss with label smoothing,
the weights of several outputs, and `compile_model`. The schedule is that of
`kscale.building.models`.
"""

import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

from kscale.building.code.layout import INDENT, Code, literal, statement
from kscale.building.code.network import network_code, texts_of_models
from kscale.building.code.words import constant_names, words_of_task
from kscale.building.keras_calls import call
from kscale.data.preprocessing.base import Preprocessing
from kscale.data.preprocessing.scaled import Scaling
from kscale.naming import layer_name, single_or_named
from kscale.networks.families import find_family
from kscale.networks.families.base import TRAINING_KNOBS, Spec, head_names
from kscale.networks.parametrization import Factor
from kscale.networks.sizing import size_of
from kscale.networks.views import viewed
from kscale.task.tasks import Target, Task
from kscale.text import counted, printable

_WIDTH = 88
_ELSEWHERE = ["depth", "width", *[knob.name for knob in TRAINING_KNOBS]]
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
        factors: Factors of learning rates and initial values, which the width decides.
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
    factors: tuple[Factor, ...] = ()

    @property
    def sentence(self) -> str:
        """The settings in words."""
        smoothing = ""
        if self.label_smoothing:
            smoothing = f", label smoothing {self.label_smoothing:g}"
        weighted = ", each class counting the same" if self.class_weights else ""
        scaled = ", times RATES for the weights named there" if self.factors else ""
        return (
            f"Trained with AdamW: learning rate up to {self.learning_rate:g}{scaled}, "
            f"rising over the first {100 * self.warmup:g} % of the steps and falling "
            f"to 0 over the last {100 * self.cooldown:g} %, weight decay "
            f"{self.weight_decay:g} but for biases, norms and embeddings{smoothing}; "
            f"{counted(self.epochs, 'epoch')} of {self.examples:,} "
            f"examples in batches of {self.batch_size}{weighted}."
        )


def module_code(
    spec: Spec,
    task: Task,
    result: str,
    settings: TrainingSettings,
    preprocessing: Mapping[str, Preprocessing],
    target_scaling: Mapping[str, Scaling],
) -> str:
    """A Python module that makes a trained network anew, with nothing but Keras.

    `build_model` gives the network with new weights, `compile_model` what trains it.
    Texts of the data stand in strings only, so none of them is run.

    Args:
        spec: The network.
        task: What the network was trained for.
        result: What the network reached, in one sentence.
        settings: How the network was trained.
        preprocessing: By input, from raw inputs to the network's.
        target_scaling: By real target, from the network's output to the user's unit.
    """
    constants: dict[str, Any] = {}
    blueprint = find_family(spec.family).blueprint(spec, task)
    seen = viewed(task, dict(spec.knobs))
    words = words_of_task(seen, preprocessing, target_scaling, constants)
    numbers, compiling = _compile_code(settings, task)
    starts = {it.weight: it.start for it in settings.factors if it.start != 1}
    numbers |= {"STARTS": starts} if starts else {}
    start = [
        _docstring(spec, size_of(blueprint).params, result, settings, *words),
        "",
        "import keras\nfrom keras import layers\n",
    ]
    for name, value in {**constants, **numbers}.items():
        start += statement(f"{name} = ", value)
    definitions = ("\n".join(start), *network_code(blueprint, bool(starts)), *compiling)
    return "\n\n\n".join(definitions) + "\n"


def _docstring(
    spec: Spec,
    params: int,
    result: str,
    settings: TrainingSettings,
    inputs: list[str],
    outputs: list[str],
) -> str:
    shape = f" depth={spec.depth} width={spec.width}" if spec.width else ""
    knobs = ", ".join(
        f"{name}={printable(value)}"
        for name, value in spec.knobs
        if name not in _ELSEWHERE
    )
    several = ", by the names that `fit` takes targets by" if len(outputs) > 1 else ""
    paragraphs = [
        f"{spec.family}{shape}: {params:,} parameters.",
        f"{f'Knobs: {knobs}. ' * bool(knobs)}{result}",
        f"Inputs: {' '.join(inputs)}",
        f"Outputs{several}: {' '.join(outputs)}",
        settings.sentence,
        "Written by kscale. The weights are new; the trained ones are in the run.",
    ]
    # Neither may end the docstring.
    texts = [it.replace("\\", "\\\\").replace('"', "'") for it in paragraphs]
    wrapper = textwrap.TextWrapper(
        _WIDTH, break_long_words=False, break_on_hyphens=False
    )
    return '"""' + "\n\n".join(map(wrapper.fill, texts)) + '\n"""'


def _compile_code(
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
    *smoothed, weighing, compiling = text.rstrip().split("\n\n\n")
    losses = {head: _loss(target, settings) for head, target in heads.items()}
    rates = {it.weight: it.rate for it in settings.factors if it.rate != 1}
    numbers["RATES"] = rates
    made = "ScaledAdamW(schedule, RATES" if rates else "keras.optimizers.AdamW(schedule"
    compiling = compiling.replace("{optimizer}", made)
    names = ("factor_of", "ScaledAdamW") if rates else ()
    definitions = [texts_of_models()[name] for name in (*names, "Schedule")]
    called = [loss for loss in losses.values() if isinstance(loss, Code)]
    definitions += [it for it in smoothed if any(f"def {c}(" in it for c in called)]
    asked = "class_weight=dict(enumerate(CLASS_WEIGHT))"
    if weights and several:
        values = _sample_weight(heads, weights)
        definitions.append(weighing.replace("{values}", values))
        asked = "sample_weight=sample_weight(y)"
    metrics = {
        head: [
            call(f"keras.metrics.{metric.name}", **metric.arguments)
            for metric in filter(None, [target.head.watched])
        ]
        for head, target in heads.items()
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
    if printed := (smoothing and head.smoothed) or head.printed:
        return Code(printed)
    takes_it = smoothing and head.is_named and not head.is_sequence
    extra = {"label_smoothing": smoothing} if takes_it else {}
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
