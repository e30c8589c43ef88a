"""The user's present model trained anew, with the loop and recipe of a search."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial

import keras
from msgspec import structs

from kscale.data.preprocessing.scaled import Scaled, Unchanged, unscaled
from kscale.engine.base import Network
from kscale.errors import SpecError, sentence_of
from kscale.guests.network_outputs import network_output
from kscale.guests.present_model.feeding import Feeder, named_tensors
from kscale.guests.present_model.present_scores import Present, output_names
from kscale.guests.sizes.work import graph_of
from kscale.naming import layer_name, single_or_named
from kscale.networks.families.base import Spec, head_names
from kscale.runs.records import RETRAINED, Ended, Reference
from kscale.search.contract import Job, derived_seed
from kscale.tuning.attempts import MemberWeights
from kscale.tuning.family_trainer import FamilyTrainer
from kscale.tuning.references import ReferenceContext

_RATE = 1e-3  # Adam's usual one
_DECAY = 0.004  # as the knob of every family


def check_retrainable(present: Present) -> None:
    """Raise a `SpecError` unless a present model can be trained anew."""
    why = _obstacle(present)
    if why:
        raise SpecError(f"{present.name} {why}: leave out --retrain-baseline.")


def _obstacle(present: Present) -> str:
    """Why a present model cannot be trained anew; empty if it can be."""
    feeder = present.feeder
    if graph_of(feeder.model) is None:
        return "has another `call` than a graph, so it cannot be built with new weights"
    items = feeder.dataset.preprocessing.values()
    is_kept = all(isinstance(item, Scaled | Unchanged) for item in items)
    if feeder.is_raw and not is_kept:
        return (
            "reads texts, sounds or columns of a table itself, which are not kept for "
            "training"
        )
    for layer in feeder.model._flatten_layers():
        quantized = getattr(layer, "quantization_mode", None)
        if quantized or getattr(layer, "lora_enabled", False):
            what = f"quantized to {quantized}" if quantized else "adapted by LoRA"
            return f"has layers {what}, whose kernels are not trained"
    try:
        fresh_network(present, 0)
    except Exception as error:  # layers of a stranger may fail in any way
        return f"cannot be built with new weights ({sentence_of(error)})"
    return ""


@dataclass(frozen=True, eq=False)
class RetrainedReference:
    """The present model trained anew, as a reference of a search.

    An interrupted training goes on from its checkpoint, as for any network. The
    learning rate is the largest of the schedule.
    """

    present: Present
    learning_rate: float = _RATE

    def records(self, context: ReferenceContext) -> Iterator[Reference]:
        """The training, and the score on the test part, unless they are recorded."""
        present, size = self.present, self.present.size
        spec = Spec(present.name, (("model", present.digest),))
        seed = derived_seed(context.seed, "baseline", RETRAINED)
        epochs = context.setup.recipe.epochs
        job = Job("baseline", 0, spec, (seed,), (self.learning_rate,), epochs)
        network = Network(
            partial(fresh_network, present),
            size.size,
            len(size.unknown),
            weight_decay=_DECAY,
        )
        trainer = FamilyTrainer(context.setup, lambda spec, task: network)
        weights = MemberWeights(context.folder, job, 0)
        known = context.known(RETRAINED, present.digest)
        failed = any(item.status == "failed" for item in known.values())
        if "test" not in known and not failed:
            on_epoch = partial(context.on_epoch, job, 0)
            seconds = context.seconds_left()
            training = weights.train(trainer, seconds, on_epoch)
            shared = {name: getattr(training, name) for name in Ended.__struct_fields__}
            trained = Reference(name=RETRAINED, model=present.digest, **shared)
            if not known:
                yield trained
            if trained.status == "ok":
                found = vars(trainer.evaluate(training, weights.path, "test"))
                blank = {"curve": {}, "undertrained": False, "seconds": 0.0}
                yield structs.replace(trained, part="test", **blank, **found)
        weights.path.unlink(missing_ok=True)


def fresh_network(present: Present, seed: int) -> keras.Model:
    """The present model from new weights, as a network of kscale."""
    clone = fresh_clone(present.feeder.model, seed)
    return as_network(replace(present.feeder, model=clone), present)


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
    """A model with the inputs and outputs of kscale's networks, around a user's model.

    Inputs are turned back into the form that the user's model is fed, and its outputs
    into logits and scaled values.
    """
    dataset, model = feeder.dataset, feeder.model
    inputs = {
        item.name: keras.Input(item.shape, dtype=item.dtype, name=layer_name(item.name))
        for item in dataset.task.inputs
    }
    tensors = feeder.call(inputs, dataset.raw_of(inputs, {}))
    names = output_names(feeder, tensors)
    heads = {}
    for target, head, name in zip(
        dataset.task.targets, head_names(dataset.task), names, strict=True
    ):
        is_logit = "logit" in present.forms[target.name]
        given = network_output(target, tensors[name], is_logit)
        scaling = dataset.target_scaling.get(target.name)
        if scaling is not None and not _is_linear(model, name):
            given = unscaled(given, scaling)
        heads[layer_name(head)] = given
    return keras.Model(single_or_named(inputs), single_or_named(heads))


def _is_linear(model: keras.Model, name: str) -> bool:
    """Whether a linear layer makes an output, which learns scaled values by itself."""
    output = named_tensors(model, graph_of(model).output)[name]
    last = output._keras_history.operation
    return getattr(last, "activation", None) is keras.activations.linear
