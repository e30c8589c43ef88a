"""The user's present model: loaded, counted, and scored on the parts of a search."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

import keras
import numpy as np
from msgspec import structs
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from kscale.data.dataset import Part
from kscale.errors import SpecError, sentence_of
from kscale.guests.present_model.feeding import Feeder, fed_shapes, feeders_of
from kscale.guests.sizes.model_size import ModelSize, count_model
from kscale.naming import layer_name
from kscale.networks.families.base import head_names
from kscale.reports.pairs import Pair, of_shares, paired_error
from kscale.runs.records import PRESENT, Record, Reference
from kscale.ship.model_files import load_trained
from kscale.task.evaluation import (
    Answers,
    evaluate,
    evaluate_test,
    left_out_scores,
    mean_error,
    mean_score,
)
from kscale.task.scores import probabilities
from kscale.task.tasks import Target, Task
from kscale.tuning.majority import majority_answers
from kscale.tuning.plan import Plan

_MOST_TRIED = 1000  # examples on which the ways of feeding are compared
_SCALED = "values scaled to mean 0 and deviation 1 in training"
_DOUBT = (
    "no way of feeding it makes it better than a constant answer, so it is probably "
    "fed otherwise than it was trained (inputs or targets scaled outside of it? "
    "classes in another order?)"
)
_MUCH = 0.1  # more right answers, by which classes seem to be in another order
_SUM = 1e-2  # how far from 1 probabilities may sum up in float16


@dataclass(frozen=True, eq=False)
class Present:
    """The user's present model, ready to be compared with.

    Args:
        name: What reports call it.
        digest: Tells it from others.
        feeder: The model and how it is fed.
        size: What it costs.
        forms: By target, what its output is, in words.
        raw_score: Score with the raw inputs on some examples, where others were clearly
            better; else None.
        doubt: Why its scores are probably not what it can; empty if nothing says so.
    """

    name: str
    digest: str
    feeder: Feeder
    size: ModelSize
    forms: Mapping[str, str]
    raw_score: float | None = None
    doubt: str = ""

    @property
    def form(self) -> str:
        """What its outputs are, in words."""
        return " and ".join(dict.fromkeys(self.forms.values()))

    def to_json(self) -> dict[str, Any]:
        """What run.json says of it."""
        return {
            "name": self.name,
            "digest": self.digest,
            "params": self.size.size.params,
            "flops": self.size.size.flops,
            "unknown_flops": len(self.size.unknown),
            "fed": self.feeder.feeding.text,
            "raw_score": self.raw_score,
            "outputs": self.form,
            "doubt": self.doubt,
        }

    def answers(self, part: Part) -> Answers:
        """What it gives for a part."""
        everything = np.arange(len(part))
        outputs = _outputs(self.feeder, part, everything, self.name)
        return _answers(self.feeder, part, everything, outputs, self.name)[0]


def load_present(plan: Plan) -> Present | None:
    """The present model that a plan names; None if it names none.

    It is fed the raw inputs, unless another way that suits its shapes scores clearly
    better on up to 1,000 validation examples, or they are no better than the majority
    class: a model that was trained on pixels of 0 to 1 shall not stand there as worse
    than it is. Values are also read as if the targets had been scaled in its training.

    Raises:
        ExportError: Its file cannot be read, or has code of its own.
        SpecError: It does not suit the data, or was never built.
    """
    if plan.baseline is None:
        return None
    name, model = plan.baseline.name, plan.baseline.source
    if not isinstance(model, keras.Model):
        model = load_trained(model)
    if not model.built:
        raise SpecError(
            f"{name} was never built, so its weights would be random: train it, or "
            "call it on some data and load its weights, before it is the baseline."
        )
    feeders = feeders_of(model, plan.dataset, name)
    tried = [each for feeder in feeders for each in _tried(feeder, plan, name)]
    chosen, doubt = _chosen(tried, plan)
    if not math.isfinite(chosen.score):
        why = ": blanks are NaN, fill them" if chosen.feeder.feeding.stacked else ""
        raise SpecError(f"{name} gives numbers that are not finite on this data{why}.")
    first = tried[0]
    fed = first.feeder.feeding
    is_told = fed.is_raw and fed != chosen.feeder.feeding
    raw_score = first.score if is_told and math.isfinite(first.score) else None
    size = _counted(model, chosen.feeder)
    digest, forms = plan.baseline.digest, chosen.forms
    return Present(name, digest, chosen.feeder, size, forms, raw_score, doubt)


@dataclass(frozen=True, eq=False)
class _Tried:
    """What one way of feeding reaches on some validation examples."""

    feeder: Feeder
    forms: Mapping[str, str]
    score: float

    answers: Answers


def _tried(feeder: Feeder, plan: Plan, name: str) -> Iterator[_Tried]:
    """A way of feeding, and once more with values unscaled."""
    task, part = plan.dataset.task, plan.dataset.validation
    some = _some(part)
    outputs = _outputs(feeder, part, some, name)
    is_scaled = bool(plan.dataset.target_scaling)
    for unscales in (False, True)[: 1 + is_scaled]:
        one = replace(feeder, unscales=unscales)
        answers, forms = _answers(one, part, some, outputs, name)
        is_finite = all(np.isfinite(given).all() for _, given in answers.values())
        score = mean_score(plan.objective, task, answers) if is_finite else math.nan
        yield _Tried(one, forms, score, answers)


def _some(part: Part) -> NDArray[np.int64]:
    number = min(len(part), _MOST_TRIED)
    return np.linspace(0, len(part) - 1, number).astype(np.int64)


def _chosen(tried: Sequence[_Tried], plan: Plan) -> tuple[_Tried, str]:
    """One way of feeding, and why to doubt it.

    Of those that are better than a constant answer, the first, the raw inputs, unless
    another one is clearly better; without any, that of the best score. Values near 0
    are a constant answer once they are unscaled, so these must be clearly better.
    """
    objective, data = plan.objective, plan.dataset
    some, known = _some(data.validation), majority_answers(data, data.validation)
    answers = {
        name: (wanted[some], given[some]) for name, (wanted, given) in known.items()
    }
    chance = mean_score(objective, data.task, answers)
    constant = replace(tried[0], score=chance, answers=answers)
    sound = [item for item in tried if math.isfinite(item.score)]
    proved = [
        item
        for item in sound
        if objective.better(item.score, chance)
        and (not item.feeder.unscales or _clearer(constant, item, plan) is item)
    ]
    if proved:
        best = reduce(lambda one, two: _clearer(one, two, plan), proved)
        return best, _order_doubt(best, data.task)[1]
    best = max(
        sound or tried[:1],
        key=lambda item: (
            _order_doubt(item, data.task)[0],
            objective.gain(item.score, 0.0),
        ),
    )
    return best, _order_doubt(best, data.task)[1] or _DOUBT


def _clearer(one: _Tried, two: _Tried, plan: Plan) -> _Tried:
    """The second, if it is clearly better on the same examples."""
    task, objective = plan.dataset.task, plan.objective
    gain, error = objective.gain(two.score, one.score), math.inf
    if gain > 0:
        scores = [left_out_scores(objective, task, each.answers) for each in (one, two)]
        errors = [mean_error(objective, task, each.answers) for each in (one, two)]
        error = paired_error(*scores) if all(scores) else math.hypot(*errors)
        number = len(next(iter(one.answers.values()))[0])
        error = of_shares(error, number) if objective.is_share else error
    return two if gain > 0 and Pair(gain, error, None).is_clear else one


def _order_doubt(item: _Tried, task: Task) -> tuple[float, str]:
    """The share that is right in another order of classes, if much more, and that."""
    for target in task.targets:
        if target.kind == "classes":
            wanted, given = item.answers[target.name]
            chosen = given.argmax(axis=-1)
            before, after = reordered_accuracy(wanted, chosen, target.outputs)
            if after > before:
                return after, (
                    f"its classes of {target.name} seem to be in another order than "
                    f"those of the data: in that which suits it best "
                    f"{100 * after:.0f} % of its answers are right instead of "
                    f"{100 * before:.0f} %"
                )
    return 0.0, ""


def reordered_accuracy(
    wanted: NDArray[Any], chosen: NDArray[Any], classes: int
) -> tuple[float, float]:
    """Shares of right answers: as they are, and with classes in another order.

    The order is the best one of every second example, the shares are of the others:
    many classes and few examples shall not make it look better than it is. Twice the
    same, unless it is better than that and than one answer by a tenth, by a quarter of
    what is wrong (random networks reach less), and by three standard errors.
    """
    counts = np.zeros((classes, classes), np.int64)
    np.add.at(counts, (chosen[::2], wanted[::2]), 1)
    _, order = linear_sum_assignment(counts, maximize=True)
    wanted, chosen = wanted[1::2], chosen[1::2]
    if not len(wanted):
        return 0.0, 0.0
    right, reordered = chosen == wanted, order[chosen] == wanted
    spread, number = np.std(reordered * 1.0 - right), len(wanted)
    error = math.hypot(spread / math.sqrt(number), 1 / number)
    before, after = float(right.mean()), float(reordered.mean())
    constant = float(np.bincount(wanted).max()) / number
    least = max(_MUCH, (1 - before) / 4, 3 * error)
    return before, after if after > max(before, constant) + least else before


def _counted(model: keras.Model, feeder: Feeder) -> ModelSize:
    """Its size; sides that it leaves open are those of the data."""
    is_open = any(None in shape for _, shape in feeder.places)
    if not (is_open and len(feeder.places) == 1):
        return count_model(model)
    shapes = fed_shapes(feeder.dataset, feeder.feeding)
    return count_model(model, shapes[feeder.places[0][0]])


def _outputs(
    feeder: Feeder, part: Part, chosen: NDArray[np.int64], name: str
) -> dict[str, NDArray[Any]]:
    try:
        return feeder.outputs(part, chosen)
    except Exception as error:  # a model of a stranger may fail in any way
        raise SpecError(
            f"{name} cannot be run on this data ({feeder.feeding.text}): "
            f"{sentence_of(error)}."
        ) from error


def _answers(
    feeder: Feeder,
    part: Part,
    chosen: NDArray[np.int64],
    outputs: dict[str, NDArray[Any]],
    name: str,
) -> tuple[Answers, dict[str, str]]:
    """What was wanted and what was given, and what the outputs are, by target."""
    task, scalings = feeder.dataset.task, feeder.dataset.target_scaling
    found, forms = {}, {}
    names = output_names(task, outputs, name)
    for target, output in zip(task.targets, names, strict=True):
        given, form = _read(target, outputs[output], name)
        if feeder.unscales and target.name in scalings:
            given, form = scalings[target.name].apply(given), _SCALED
        found[target.name] = part.targets[target.name][chosen], given
        forms[target.name] = form
    return found, forms


def output_names(task: Task, outputs: dict[str, Any], name: str) -> list[str]:
    """The output of each target: by name, or else in order."""
    for names in ([target.name for target in task.targets], _heads(task)):
        if all(item in outputs for item in names):
            return names
    if len(outputs) == len(task.targets):
        return list(outputs)
    raise SpecError(
        f"{name} has the outputs {', '.join(outputs)}, but the data has the targets "
        f"{', '.join(target.name for target in task.targets)}."
    )


def _heads(task: Task) -> list[str]:
    return [layer_name(head) for head in head_names(task)]


def _read(target: Target, given: NDArray[Any], name: str) -> tuple[NDArray[Any], str]:
    """Probabilities of classes, or values in the user's unit; and what came."""
    columns = given[:, None] if given.ndim == 1 else given
    is_single = target.kind == "classes" and target.outputs == 2
    if columns.ndim == 2 and columns.shape[1] == 1 and is_single:
        return _of_two(columns[:, 0])
    if columns.ndim != 2 or columns.shape[1] != target.outputs:
        what = "classes" if target.kind == "classes" else "values"
        sides = "x".join(str(side) for side in columns.shape[1:])
        raise SpecError(
            f"{name} gives {sides} numbers for each example, but {target.name!r} of "
            f"the data has {target.outputs} {what}."
        )
    if target.kind == "real":
        return columns, "values"
    return _shares(columns)


def _of_two(given: NDArray[Any]) -> tuple[NDArray[Any], str]:
    """Of one number: the chance of the second class, or its logit."""
    is_chance = _are_chances(given)
    second = (
        given if is_chance else probabilities(np.stack([0 * given, given], -1))[:, 1]
    )
    form = "the probability" if is_chance else "the logit"
    return np.stack([1 - second, second], axis=-1), f"{form} of the second class"


def _shares(given: NDArray[Any]) -> tuple[NDArray[Any], str]:
    sums = given.sum(axis=-1, keepdims=True)
    if not _are_chances(given):
        return probabilities(given), "logits"
    if np.allclose(sums, 1.0, atol=_SUM):
        return given, "probabilities"
    return given / np.maximum(sums, 1e-7), "probabilities that do not sum up to 1"


def _are_chances(given: NDArray[Any]) -> bool:
    return bool((given >= 0).all() and (given <= 1).all())


def present_results(
    present: Present | None, plan: Plan, recorded: Sequence[Record]
) -> Iterator[Reference]:
    """What the present model reaches on both parts, as far as it is not recorded."""
    if present is None:
        return
    task, objective, data = plan.dataset.task, plan.objective, plan.dataset
    blank = _unscored(present, plan)
    known = [item for item in recorded if isinstance(item, Reference)]
    done = {item.part for item in known if item.key == blank.key}
    if "validation" not in done:
        found = evaluate(objective, task, present.answers(data.validation))
        yield structs.replace(blank, **vars(found))
    if "test" not in done:
        tested = evaluate_test(objective, task, present.answers(data.test))
        yield structs.replace(blank, part="test", **vars(tested))


def _unscored(present: Present, plan: Plan) -> Reference:
    """A record of the present model's size, without a score."""
    size = present.size.size
    return Reference(
        name=PRESENT,
        model=present.digest,
        params=size.params,
        trainable=size.trainable,
        flops=size.flops,
        bytes=size.weight_bytes(),
        unknown_flops=len(present.size.unknown),
        memory=size.training_bytes(plan.recipe.batch_size),
    )
