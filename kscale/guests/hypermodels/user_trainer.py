"""Training a user's model by the user's code, scored as every network."""

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras

from kscale.data.class_weights import class_weights_of
from kscale.data.dataset import Dataset
from kscale.data.parts import PartName
from kscale.engine.base import Outputs
from kscale.engine.engines import make_engine
from kscale.engine.tensorflow.checkpoints import load_checkpoint, save_checkpoint
from kscale.engine.tensorflow.devices import make_strategy
from kscale.errors import ResultsError, TrialError
from kscale.guests.hypermodels.user_fit import (
    call_fit,
    compile_user_model,
    has_default_fit,
)
from kscale.guests.hypermodels.user_model_files import save_user_model
from kscale.guests.hypermodels.user_models import UserModels
from kscale.guests.hypermodels.user_outputs import UserOutputs
from kscale.guests.hypermodels.watching import Watch, first_rate
from kscale.naming import single_or_named
from kscale.networks.families.base import Spec
from kscale.runs.records import Training
from kscale.task.evaluation import Scores
from kscale.tuning.trainer import (
    Assignment,
    EpochSeen,
    RunningTraining,
    TimeUp,
    TrainingSetup,
)

logger = logging.getLogger(__name__)

_PREDICT_BATCH = 512


class UserTrainer:
    """Trains a user's models by their `fit`, on the data set as they take it.

    `Watch` says how an interrupted training goes on. Of a model that cannot be saved,
    the weights are shipped.
    """

    def __init__(
        self, setup: TrainingSetup, models: UserModels, dataset: Dataset
    ) -> None:
        self.setup = replace(setup, dataset=dataset)
        self.models = models
        self.strategy = make_strategy(setup.strategy)
        self._scalings = setup.dataset.target_scaling
        self._devices = make_engine(setup.strategy).devices()

    def train(
        self, assignment: Assignment, on_epoch: EpochSeen | None = None
    ) -> Training:
        spec = assignment.job.spec
        size, unknown = self.models.size(spec), len(self.models.unknown(spec))
        training = RunningTraining(self.setup, assignment, size, unknown, on_epoch)
        return training.run(lambda: self._trained(training), self._devices)

    def _trained(self, training: RunningTraining) -> Training:
        """Train, or go on; a training that cannot go on begins again, once."""
        try:
            return self._fitted(training)
        except (TimeUp, ResultsError, TrialError):
            raise
        except Exception as error:
            if training.assignment.start is None:
                raise
            logger.info("A training could not go on and begins again: %r", error)
        training.assignment = replace(training.assignment, start=None)
        return self._fitted(training)

    def _fitted(self, training: RunningTraining) -> Training:
        spec, setup = training.job.spec, self.setup
        with self.strategy.scope():
            model, hp, outputs = self._built(spec, training.record.seed)
            asked = self.models.learning_rate(spec, model.compiled)
            if not model.compiled:
                compile_user_model(model, setup.dataset, setup.recipe, asked, outputs)
        rate = first_rate(model.optimizer, asked)
        watch = Watch(training, lambda model: self._given(model, outputs), asked)
        if not training.progress.is_finished:
            recipe = replace(setup.recipe, epochs=training.job.epochs_to)
            weights = class_weights_of(setup.dataset, setup.class_weights)
            fit = (self.models, hp, model, setup.dataset, recipe, watch, weights)
            with self.strategy.scope():  # the user's code may compile anew
                call_fit(*fit, outputs=outputs)
            rate = watch.rate or rate
            self._check_count(spec, model)
        elif load_checkpoint(watch.start, model, None) is None:
            raise RuntimeError(f"{watch.start} is damaged or of another model")
        given = self._given(model, outputs)
        if not training.progress.curve:
            training.add_score(given)
        changes: dict[str, Any] = {"learning_rate": rate}
        if "loss" not in training.progress.curve:
            changes["undertrained"] = False  # no epoch was heard of
        return training.finished(
            lambda path, progress: save_checkpoint(
                path, model, model.optimizer, progress
            ),
            given,
            **changes,
        )

    def _built(self, spec: Spec, seed: int) -> tuple[keras.Model, Any, UserOutputs]:
        """A model with all its weights, its hyperparameters and its outputs.

        Values are scaled for a model of which kscale decides all of its training.
        """
        data = self.setup.dataset
        model, hp = self.models.build(spec, seed)
        first = {n: rows[:2] for n, rows in data.train.inputs.items()}
        with self.models.importable():
            given = model(single_or_named(first))
        outputs = UserOutputs.of(model, given, data.task)
        if not model.compiled and has_default_fit(self.models):
            outputs = replace(outputs, scalings=self._scalings)
        self._check_count(spec, model)
        return model, hp, outputs

    def _check_count(self, spec: Spec, model: keras.Model) -> None:
        """Raise unless a model is of the size that the budget allowed."""
        counted = self.models.size(spec).params
        if model.count_params() != counted:
            raise TrialError(
                f"the model has {model.count_params():,} parameters with these inputs, "
                f"but {counted:,} were counted"
            )

    def evaluate(self, training: Training, weights: Path, part: PartName) -> Scores:
        model, outputs = self._loaded(training, weights)
        return self.setup.test_score(part, self._given(model, outputs, part))

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
