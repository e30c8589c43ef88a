"""The user's present model: loaded, counted, and scored on the parts of a search."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import keras
import numpy as np
from numpy.typing import NDArray

from kscale.data.dataset import Dataset
from kscale.data.parts import Part
from kscale.data.preprocessing.table_columns import TableColumns
from kscale.errors import SpecError, sentence_of
from kscale.guests.model_files import load_trained, of_any_batch
from kscale.guests.network_outputs import network_output, refuse_sequences
from kscale.guests.present_model.baseline_file import Baseline
from kscale.guests.present_model.feeding import Feeder, feeders_of
from kscale.guests.sizes.model_size import count_model
from kscale.naming import layer_name
from kscale.networks.families.base import head_names
from kscale.reports.size_tables import ModelSize
from kscale.runs.records import PRESENT, Reference
from kscale.task.evaluation import Pairs, mean_error, mean_score
from kscale.task.objectives import Objective
from kscale.task.tasks import Target
from kscale.tuning.references import ReferenceContext, constant_pairs, score_parts

_MOST_TRIED = 1000  # examples on which the forms are compared
_CLEAR = 2  # standard errors by which a form must be better than an earlier form
_DOUBT = (
    "in no form of the inputs is the model better than a constant answer, so it was "
    "probably trained on another form (inputs or targets scaled outside of the model? "
    "classes in another order?)"
)


@dataclass(frozen=True, eq=False)
class Present:
    """The user's present model, ready to be compared with.

    `forms` say in words what the output for each target is; `raw_score` is the score
    with the raw inputs where another form was clearly better; `doubt` says why the
    model is probably better than its scores, or is empty.
    """

    name: str
    digest: str
    feeder: Feeder
    size: ModelSize
    forms: Mapping[str, str]
    raw_score: float | None
    doubt: str

    def to_json(self) -> dict[str, Any]:
        """What run.json says of the model."""
        return {
            "name": self.name,
            "digest": self.digest,
            "params": self.size.size.params,
            "flops": self.size.size.flops,
            "unknown_flops": len(self.size.unknown),
            "fed": self.feeder.text,
            "raw_score": self.raw_score,
            "outputs": " and ".join(dict.fromkeys(self.forms.values())),
            "doubt": self.doubt,
        }

    def pairs(self, part: Part) -> Pairs:
        """Targets and outputs of the model, for a part."""
        return _pairs(self.feeder, part, np.arange(len(part)))[0]

    def records(self, context: ReferenceContext) -> Iterator[Reference]:
        """Scores of the model on both parts, as far as they are not recorded."""
        size = self.size.size
        blank = Reference(
            name=PRESENT,
            model=self.digest,
            params=size.params,
            trainable=size.trainable,
            flops=size.flops,
            bytes=size.weight_bytes(),
            unknown_flops=len(self.size.unknown),
            memory=size.training_bytes(context.setup.recipe.batch_size),
        )
        return score_parts(context, blank, self.pairs)


class _Tried(NamedTuple):
    """What a model reaches on some validation examples in one form of them."""

    feeder: Feeder
    forms: Mapping[str, str]
    score: float
    error: float


def load_present(baseline: Baseline, dataset: Dataset, objective: Objective) -> Present:
    """The present model of a search.

    The model is fed the raw inputs, unless another form that suits its shapes scores
    clearly better on up to 1,000 validation examples: pixels, for example, may have
    been divided by 255 before the model was trained. If no form makes the model better
    than a constant answer, its scores are doubted.
    """
    refuse_sequences(dataset.task, "Present models")
    name, model = baseline.name, baseline.source
    if not isinstance(model, keras.Model):
        model = load_trained(model)
    if not model.built:
        raise SpecError(
            f"{name} was never built, so its weights would be random: train it, or "
            "call it on some data and load its weights, before it is the baseline."
        )
    model, part = of_any_batch(model), dataset.validation
    some = np.linspace(0, len(part) - 1, min(len(part), _MOST_TRIED)).astype(np.int64)
    feeders = feeders_of(model, dataset, name)
    tried = [_tried(feeder, objective, some) for feeder in feeders]
    first = best = tried[0]
    for other in tried[1:]:
        error = _CLEAR * math.hypot(best.error, other.error)
        is_clear = objective.gain(other.score, best.score) > error
        if math.isfinite(other.score) and (is_clear or not math.isfinite(best.score)):
            best = other
    if not math.isfinite(best.score):
        kinds = map(type, dataset.preprocessing.values())
        is_raw_table = TableColumns in kinds and best.feeder.is_raw
        why = ": blanks are NaN, fill them" if is_raw_table else ""
        raise SpecError(f"{name} gives numbers that are not finite on this data{why}.")
    is_better = best is not first and first.feeder.is_raw
    constant = {
        target: (wanted[some], given[some])
        for target, (wanted, given) in constant_pairs(dataset, part, objective).items()
    }
    chance = mean_score(objective, dataset.task, constant)
    shapes = [shape for _, shape in best.feeder.places]
    return Present(
        name,
        baseline.digest,
        best.feeder,
        count_model(model, shapes or None),
        best.forms,
        first.score if is_better and math.isfinite(first.score) else None,
        "" if objective.better(best.score, chance) else _DOUBT,
    )


def _tried(feeder: Feeder, objective: Objective, some: NDArray[np.int64]) -> _Tried:
    data = feeder.dataset
    pairs, forms = _pairs(feeder, data.validation, some)
    if not all(np.isfinite(given).all() for _, given in pairs.values()):
        return _Tried(feeder, forms, math.nan, math.inf)
    score = mean_score(objective, data.task, pairs)
    return _Tried(feeder, forms, score, mean_error(objective, data.task, pairs))


def _pairs(
    feeder: Feeder, part: Part, chosen: NDArray[np.int64]
) -> tuple[Pairs, dict[str, str]]:
    """By target, the true values beside the model's, and what its outputs are."""
    try:
        outputs = feeder.outputs(part, chosen)
    except Exception as error:  # a model of a stranger may fail in any way
        raise SpecError(
            f"{feeder.name} cannot be run on this data ({feeder.text}): "
            f"{sentence_of(error)}."
        ) from error
    task, found, forms = feeder.dataset.task, {}, {}
    names = output_names(feeder, outputs)
    for target, output in zip(task.targets, names, strict=True):
        given, forms[target.name] = _read(target, outputs[output], feeder.name)
        found[target.name] = part.targets[target.name][chosen], given
    return found, forms


def output_names(feeder: Feeder, outputs: Mapping[str, Any]) -> list[str]:
    """The output of each target: by name, or else in order."""
    task = feeder.dataset.task
    heads = [layer_name(head) for head in head_names(task)]
    for names in ([target.name for target in task.targets], heads):
        if all(item in outputs for item in names):
            return names
    if len(outputs) == len(task.targets):
        return list(outputs)
    raise SpecError(
        f"{feeder.name} has the outputs {', '.join(outputs)}, but the data has the "
        f"targets {', '.join(target.name for target in task.targets)}."
    )


def _read(target: Target, given: NDArray[Any], name: str) -> tuple[NDArray[Any], str]:
    """Outputs in the form that a target's head scores, and what they are, in words."""
    head = target.head
    is_chance = bool((given >= 0).all() and (given <= 1).all())
    found = np.asarray(network_output(target, given, not is_chance))
    if found.shape[1:] != (target.outputs,):
        sides = "x".join(str(side) for side in given.shape[1:]) or "1"
        numbers = "1 number" if sides == "1" else f"{sides} numbers"
        raise SpecError(
            f"{name} gives {numbers} for each example, but {target.name!r} of "
            f"the data has {head.count_text(target.outputs)}."
        )
    if not head.is_named:
        return found, head.nouns[1]
    forms = ("probabilities", "the probability of the second class")
    forms = forms if is_chance else ("logits", "the logit of the second class")
    return head.activate(found), forms[found.shape != given.shape]
