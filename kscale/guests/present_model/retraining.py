"""The user's present model trained anew, with the loop and recipe of a search."""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import keras
from msgspec import structs

from kscale.data.preprocessing.scaled import Scaled, Unchanged
from kscale.data.scaling import Scaling
from kscale.engine.base import Network
from kscale.errors import SpecError, sentence_of
from kscale.guests.present_model.feeding import Feeder, named_tensors
from kscale.guests.present_model.scoring import (
    Present,
    output_names,
    takes_one,
)
from kscale.guests.sizes.layer_work import graph_of
from kscale.naming import layer_name, single_or_named
from kscale.networks.families.base import Spec, head_names
from kscale.runs.records import RETRAINED, Ended, Record, Reference, Training
from kscale.search.contract import Job, derived_seed
from kscale.ship.preprocessing_layers import rescaled
from kscale.task.tasks import Target
from kscale.tuning.attempts import MemberWeights, train_member
from kscale.tuning.family_trainer import NetworkTrainer
from kscale.tuning.plan import Plan
from kscale.tuning.trainer import TrainingSetup

_RATE = 1e-3  # Adam's usual one
_DECAY = 0.004  # as the knob of every family
_LEAST = 1e-7  # a probability, as Keras clips them


def check_retrainable(present: Present) -> None:
    """Raise unless a present model can be trained anew.

    Raises:
        SpecError: It is no graph of layers, or reads what networks do not get; its
            weights are not made to be trained, or a layer cannot be made anew.
    """
    feeder = present.feeder
    if graph_of(feeder.model) is None:
        raise SpecError(
            f"{present.name} has a call of its own, so it cannot be built with new "
            "weights: leave out --retrain-baseline."
        )
    kinds = feeder.dataset.preprocessing.values()
    if feeder.feeding.is_raw and not all(
        isinstance(item, Scaled | Unchanged) for item in kinds
    ):
        raise SpecError(
            f"{present.name} reads texts, sounds or columns of a table itself, which "
            "are not kept for training: leave out --retrain-baseline."
        )
    _refuse_untrained_kernels(present)
    try:
        as_network(replace(feeder, model=fresh_clone(feeder.model, 0)), present)
    except Exception as error:  # layers of a stranger may fail in any way
        raise SpecError(
            f"{present.name} cannot be built with new weights ({sentence_of(error)}): "
            "leave out --retrain-baseline."
        ) from error


def _refuse_untrained_kernels(present: Present) -> None:
    """New weights of theirs would stay as they are drawn, or as they are packed."""
    for layer in present.feeder.model._flatten_layers():
        quantized = getattr(layer, "quantization_mode", None)
        if quantized or getattr(layer, "lora_enabled", False):
            what = f"quantized to {quantized}" if quantized else "adapted by LoRA"
            raise SpecError(
                f"{present.name} has layers {what}, whose kernels are not trained: "
                "leave out --retrain-baseline, or give the model from before."
            )


def retrained_results(
    present: Present,
    plan: Plan,
    recorded: Sequence[Record],
    setup: TrainingSetup,
    folder: Path,
    seconds: float,
    epoch_done: Callable[[Job, int, int, float], None],
) -> Iterator[Reference]:
    """The training's record on both parts, unless they are recorded.

    One that was interrupted goes on from its checkpoint, as that of any network.

    Args:
        present: The model.
        plan: What the search does.
        recorded: What is known.
        setup: What all trainings share.
        folder: Folder of the checkpoints.
        seconds: Time that is left.
        epoch_done: Called after each epoch.

    Raises:
        TimeUp: The time was over first.
    """
    job, size = _job(plan, present), present.size.size
    trainer = NetworkTrainer(setup, lambda spec, task: _network(present))
    weights = MemberWeights(folder, job, 0)
    known = [
        item
        for item in recorded
        if isinstance(item, Reference)
        and (item.name, item.model) == (RETRAINED, present.digest)
    ]
    if not any(item.part == "test" or item.status == "failed" for item in known):
        on_epoch = partial(epoch_done, job, 0)
        training = train_member(trainer.train, setup, size, weights, seconds, on_epoch)
        trained = _reference(training, present)
        if not known:
            yield trained
        if trained.status == "ok":
            found = vars(trainer.evaluate(training, weights.path, "test"))
            blank = {"part": "test", "curve": {}, "undertrained": False, "seconds": 0.0}
            yield structs.replace(trained, **blank, **found)
    weights.path.unlink(missing_ok=True)


def _reference(training: Training, present: Present) -> Reference:
    fields = {name: getattr(training, name) for name in Ended.__struct_fields__}
    return Reference(name=RETRAINED, model=present.digest, **fields)


def _job(plan: Plan, present: Present) -> Job:
    seed = derived_seed(plan.request.seed, "baseline", RETRAINED)
    rate = float(plan.request.settings.get("learning_rate", _RATE))
    spec = Spec(RETRAINED, (("model", present.digest),))
    return Job("baseline", 0, spec, (seed,), (rate,), plan.recipe.epochs)


def _network(present: Present) -> Network:
    """The present model from new weights."""

    def build(seed: int) -> keras.Model:
        clone = fresh_clone(present.feeder.model, seed)
        return as_network(replace(present.feeder, model=clone), present)

    size = present.size
    return Network(build, size.size, len(size.unknown), weight_decay=_DECAY)


def fresh_clone(model: keras.Model, seed: int) -> keras.Model:
    """The same layers with new weights, which the seed decides.

    Frozen layers and fitted normalizations keep their weights: a training does not
    change these.
    """
    before = random.getstate()
    random.seed(seed)  # from which Keras draws the seeds of layers and initializers
    try:
        clone = keras.models.clone_model(model)
    finally:
        random.setstate(before)
    pairs = zip(model._flatten_layers(), clone._flatten_layers(), strict=True)
    for old, new in pairs:
        is_fitted = isinstance(old, keras.layers.Normalization)
        if old.weights and (is_fitted or not old.trainable):
            new.set_weights(old.get_weights())
        if is_fitted:
            new.finalize_state()
    return clone


def as_network(feeder: Feeder, present: Present) -> keras.Model:
    """A model that reads and gives what kscale's networks do, around another.

    It turns inputs back into what the other model is fed, and what that gives into
    logits and scaled values.
    """
    dataset = feeder.dataset
    inputs = {
        item.name: keras.Input(item.shape, dtype=item.dtype, name=layer_name(item.name))
        for item in dataset.task.inputs
    }
    outputs = feeder.model(feeder.packed(_fed(feeder, inputs)))
    tensors = named_tensors(feeder.model, outputs)
    names = output_names(dataset.task, tensors, present.name)
    heads = {
        layer_name(head): _head(target, name, tensors[name], feeder, present)
        for target, head, name in zip(
            dataset.task.targets, head_names(dataset.task), names, strict=True
        )
    }
    return keras.Model(single_or_named(inputs), single_or_named(heads))


def _fed(feeder: Feeder, inputs: dict[str, Any]) -> dict[str, Any]:
    """What the model is fed, from what networks read, as Keras tensors."""
    feeding = feeder.feeding
    if not feeding.is_raw:
        return inputs
    fed = {}
    for name, item in feeder.dataset.preprocessing.items():
        raw = item.raw_inputs[0].name
        fed[raw] = inputs[name]
        if isinstance(item, Scaled):
            back = _inverse(item.scaling)
            fed[raw] = rescaled(inputs[name], back, f"{layer_name(name)}_raw")
            if feeding.divisor != 1.0:
                fed[raw] = fed[raw] / feeding.divisor
    return fed


def _inverse(scaling: Scaling) -> Scaling:
    pairs = list(zip(scaling.scale, scaling.offset, strict=True))
    return Scaling(
        tuple(1 / scale for scale, _ in pairs),
        tuple(-offset / scale for scale, offset in pairs),
    )


def _head(
    target: Target, name: str, given: Any, feeder: Feeder, present: Present
) -> Any:
    """An output as a network gives it: logits, or values of mean 0 and deviation 1."""
    if len(given.shape) == 1:
        given = keras.ops.expand_dims(given, -1)
    if not target.head.is_named:
        return _scaled_values(target, name, given, feeder)
    is_logit = "logit" in present.forms[target.name]
    if takes_one(target) and given.shape[-1] == 1:
        first = 0 * given if is_logit else 1 - given
        given = keras.ops.concatenate([first, given], axis=-1)
    if is_logit:
        return given
    logits = keras.ops.log(keras.ops.clip(given, _LEAST, 1.0))
    if target.head.is_exclusive:
        return logits
    return logits - keras.ops.log(keras.ops.clip(1 - given, _LEAST, 1.0))


def _scaled_values(target: Target, name: str, given: Any, feeder: Feeder) -> Any:
    """A last layer that is linear learns the scaled values at once, any other gives
    the user's unit."""
    made = named_tensors(feeder.model, graph_of(feeder.model).output)[name]
    last = made._keras_history.operation
    is_linear = getattr(last, "activation", None) is keras.activations.linear
    scaling: Scaling | None = feeder.dataset.target_scaling.get(target.name)
    if is_linear or scaling is None:
        return given
    return rescaled(given, _inverse(scaling), f"{layer_name(target.name)}_scaled")
