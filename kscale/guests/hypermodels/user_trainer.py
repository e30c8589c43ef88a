"""Training a user's model by the user's code, scored and shipped as every network."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras

from kscale.data.class_weights import class_weights_of
from kscale.data.dataset import Dataset
from kscale.data.parts import PartName
from kscale.engine.base import Outputs
from kscale.engine.engines import make_engine
from kscale.engine.tensorflow.checkpoints import load_checkpoint
from kscale.engine.tensorflow.devices import make_strategy
from kscale.engine.tensorflow.tracing import forgotten_gradients, free_networks
from kscale.errors import ExportError, ResultsError, TrialError, reason_of
from kscale.guests.hypermodels.user_code import place_of
from kscale.guests.hypermodels.user_fit import (
    Watch,
    call_fit,
    compile_user_model,
    first_rate,
)
from kscale.guests.hypermodels.user_models import UserModels
from kscale.guests.hypermodels.user_outputs import UserOutputs
from kscale.guests.network_outputs import probabilities_of
from kscale.naming import single_or_named
from kscale.networks.families.base import Spec
from kscale.runs.records import Training
from kscale.ship.formats.base import write_whole
from kscale.ship.opening import what_opening_needs
from kscale.ship.packaging import with_preprocessing
from kscale.task.evaluation import Scores
from kscale.tuning.trainer import (
    Assignment,
    EpochSeen,
    RunningTraining,
    TimeUp,
    Trainer,
    TrainingSetup,
)

logger = logging.getLogger(__name__)

_PREDICT_BATCH = 512


class UserTrainer(Trainer):
    """Trains a user's models by their `fit`, on the data set as they take it."""

    def __init__(
        self, setup: TrainingSetup, models: UserModels, dataset: Dataset
    ) -> None:
        self.setup = replace(setup, dataset=dataset)
        self.models = models
        self.strategy = make_strategy(setup.strategy)
        self._scalings = setup.dataset.target_scaling
        self._devices = make_engine(setup.strategy).devices()
        self._builds = 0

    def train(
        self, assignment: Assignment, on_epoch: EpochSeen | None = None
    ) -> Training:
        size, unknown = self.models.counted(assignment.job.spec)
        training = RunningTraining(self.setup, assignment, size, len(unknown), on_epoch)
        with forgotten_gradients():
            return training.tried(lambda: self._trained(training))

    def _trained(self, training: RunningTraining) -> Training:
        """Train, or go on; a training that cannot go on begins again, once."""
        try:
            return self._fitted(training)
        except (TimeUp, ResultsError, TrialError):
            raise
        except Exception as error:
            if training.assignment.start is None:
                place = place_of(error) or self.models.place
                raise TrialError(f"{reason_of(error)}{place}") from error
            logger.info("A training could not go on and begins again: %r", error)
        training.assignment = replace(training.assignment, start=None)
        return self._trained(training)

    def _fitted(self, training: RunningTraining) -> Training:
        training.check_survival(self._devices)
        spec, setup = training.job.spec, self.setup
        data = setup.dataset
        with self.strategy.scope():
            model, hp, outputs = self._built(spec, training.record.seed)
            asked = _asked_rate(spec, model.compiled)
            if not model.compiled:
                compile_user_model(model, data, setup.recipe, asked, outputs)
        rate = first_rate(model.optimizer, asked)
        watch = Watch(training, lambda model: self._given(model, outputs), asked)
        if training.progress.is_finished:
            watch.load(model)
        else:
            recipe = replace(setup.recipe, epochs=training.job.epochs_to)
            weights = class_weights_of(data, setup.class_weights)
            with self.strategy.scope():  # the user's code may compile anew
                call_fit(
                    self.models,
                    hp,
                    model,
                    data,
                    recipe,
                    lambda targets: outputs.labels(model, targets),
                    watch,
                    weights,
                )
            rate = watch.rate or rate
            self._check_count(spec, model)
        given = self._given(model, outputs)
        if not training.progress.curve:
            training.add_score(training.score(given))
        watch.set_model(model)
        changes: dict[str, Any] = {"learning_rate": rate}
        if "loss" not in training.progress.curve:
            changes["undertrained"] = False  # no epoch was heard of
        return training.finished(watch.write, given, **changes)

    def _built(self, spec: Spec, seed: int) -> tuple[keras.Model, Any, UserOutputs]:
        """A model with all its weights, its hyperparameters and its outputs.

        Targets are scaled where kscale decides all of the training.
        """
        data = self.setup.dataset
        self._builds += 1
        free_networks(self._builds, self.models.counted(spec)[0].params)
        model, hp = self.models.build(spec, seed)
        first = {n: rows[:2] for n, rows in data.train.inputs.items()}
        with self.models.importable():
            given = model(single_or_named(first))
        outputs = UserOutputs.of(model, given, data.task)
        if not model.compiled and self.models.has_default_fit:
            outputs = replace(outputs, scalings=self._scalings)
        self._check_count(spec, model)
        return model, hp, outputs

    def _check_count(self, spec: Spec, model: keras.Model) -> None:
        """Raise unless a model is of the size that the budget allowed."""
        counted, _ = self.models.counted(spec)
        if model.count_params() != counted.params:
            raise TrialError(
                f"the model has {model.count_params():,} parameters with these inputs, "
                f"but {counted.params:,} were counted"
            )

    def evaluate(self, training: Training, weights: Path, part: PartName) -> Scores:
        model, outputs = self._loaded(training, weights)
        with forgotten_gradients():
            given = self._given(model, outputs, part)
        return self.setup.test_score(training.spec, part, given, {})

    def ship(self, training: Training, weights: Path, path: Path) -> str:
        model, outputs = self._loaded(training, weights)
        return save_user_model(model, outputs, self.setup.dataset, path)

    def _loaded(
        self, training: Training, weights: Path
    ) -> tuple[keras.Model, UserOutputs]:
        model, _, outputs = self._built(training.spec, training.seed)
        if load_checkpoint(weights, model, None) is None:
            raise TrialError(f"{weights} is missing or damaged: nothing to evaluate.")
        return model, outputs

    def _given(
        self, model: keras.Model, outputs: UserOutputs, part: PartName = "validation"
    ) -> Outputs:
        """Outputs of a model for a part, in the form of a network's outputs."""
        rows = self.setup.dataset.parts[part].inputs
        batch = min(_PREDICT_BATCH, len(next(iter(rows.values()))))
        return outputs.read(
            model, model.predict(single_or_named(dict(rows)), batch, verbose=0)
        )


def _asked_rate(spec: Spec, is_compiled: bool) -> float:
    """The hyperparameter `learning_rate`; without it 0.001, or 0 (not known) of a
    model that the user compiles."""
    rate = dict(spec.knobs).get("learning_rate")
    if isinstance(rate, int | float) and not isinstance(rate, bool) and rate > 0:
        return float(rate)
    return 0.0 if is_compiled else 0.001


def save_user_model(
    model: keras.Model, outputs: UserOutputs, dataset: Dataset, path: Path
) -> str:
    """Write a user's model with preprocessing before it and probabilities after it.

    Of a model that Keras cannot save, the weights are written. The text says what the
    user must know of the file, such as which code opens it.
    """
    are_logits = outputs.are_logits(model)
    # Keras would save the optimizer of a nested model, but could not read it back, nor
    # a loss or metric of the user.
    model.compiled = False
    for name in ("optimizer", "_compile_loss", "_compile_metrics"):
        setattr(model, name, None)

    def network(read: Mapping[str, Any]) -> dict[str, Any]:
        given = outputs.split(model(single_or_named(read)))
        named = [each for each in dataset.task.targets if each.head.is_named]
        return given | {
            each.name: probabilities_of(each, given[each.name], are_logits[each.name])
            for each in named
        }

    around = (dataset.task, dataset.preprocessing, outputs.scalings)
    try:
        packaged = with_preprocessing("packaged", network, *around, is_activated=True)
        write_whole(path, packaged.save)
        return what_opening_needs(path)
    except Exception as error:  # a user's layers may fail in any way
        cause = error.__cause__
        reason = reason_of(cause if isinstance(cause, Exception) else error)
    weights = path.with_suffix(".weights.h5")
    try:
        model.save_weights(weights)
    except Exception as error:
        raise ExportError(
            f"{weights} could not be written: {reason_of(error)}."
        ) from error
    return f"{path.name} could not be written ({reason}); {weights} has its weights."
