"""Training a user's model as the user's code trains it, scored as every network."""

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras

from kscale.data.class_weights import class_weights_of
from kscale.data.dataset import Dataset, PartName
from kscale.engine.base import Outputs
from kscale.engine.engines import make_engine
from kscale.engine.tensorflow.checkpoints import load_checkpoint, save_checkpoint
from kscale.engine.tensorflow.devices import make_strategy
from kscale.errors import ResultsError, TrialError
from kscale.guests.hypermodels.outputs import Heads
from kscale.guests.hypermodels.saving import save_own
from kscale.guests.hypermodels.user_fit import compile_own, fit_own, is_usual_fit
from kscale.guests.hypermodels.user_models import OwnModels
from kscale.guests.hypermodels.watching import Watch, first_rate
from kscale.naming import single_or_named
from kscale.networks.families.base import Spec
from kscale.runs.records import Training
from kscale.task.evaluation import Evaluation
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
    """Trains a user's models by their `fit`.

    Args:
        setup: What all trainings share.
        models: The user's models.
        dataset: The data set as the models take it.
    """

    def __init__(
        self, setup: TrainingSetup, models: OwnModels, dataset: Dataset
    ) -> None:
        self.setup = replace(setup, dataset=dataset)
        self.models = models
        self.strategy = make_strategy(setup.strategy)
        self._scalings = setup.dataset.target_scaling
        self._devices = make_engine(setup.strategy).devices()

    def train(
        self, assignment: Assignment, on_epoch: EpochSeen | None = None
    ) -> Training:
        """As `Trainer.train`; an interrupted training goes on as `Watch` has it."""
        spec = assignment.job.spec
        size, unknown = self.models.size(spec), len(self.models.unknown.get(spec, ()))
        training = RunningTraining(self.setup, assignment, size, unknown, on_epoch)
        return training.run(lambda: self._trained(training), self._devices)

    def _trained(self, training: RunningTraining) -> Training:
        """Train, or go on; what cannot go on begins again, once."""
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
        asked = training.learning_rate
        with self.strategy.scope():
            model, hp, heads = self._built(training.job.spec, training.seed)
            if not model.compiled:
                compile_own(model, self.setup.dataset, self.setup.recipe, asked, heads)
        rate = first_rate(model.optimizer, asked)
        watch = Watch(training, lambda model: self._outputs(model, heads, "validation"))
        if not training.progress.is_finished:
            self._fit(watch, model, hp, heads)
            rate = watch.rate or rate
            self._check_count(training.job.spec, model)
        elif load_checkpoint(watch.start, model, None) is None:
            raise RuntimeError(f"{watch.start} is damaged or of another model")
        outputs = self._outputs(model, heads, "validation")
        if not training.progress.curve:
            training.add_score(outputs)
        training.finish(
            lambda path, progress: save_checkpoint(
                path, model, model.optimizer, progress
            )
        )
        changes: dict[str, Any] = {"learning_rate": rate}
        if "loss" not in training.progress.curve:
            changes["undertrained"] = False  # no epoch was heard of
        return training.finished(outputs, **changes)

    def _fit(self, watch: Watch, model: keras.Model, hp: Any, heads: Heads) -> None:
        """Let the user's code train, which may compile anew."""
        data = self.setup.dataset
        recipe = replace(self.setup.recipe, epochs=watch.training.job.epochs_to)
        weights = class_weights_of(data, self.setup.class_weights)
        with self.strategy.scope():
            fit_own(self.models, hp, model, data, recipe, watch, weights, heads=heads)

    def _built(self, spec: Spec, seed: int) -> tuple[keras.Model, Any, Heads]:
        """A model with all its weights that is what was counted, its hyperparameters
        and its outputs.

        Values are scaled for a model of which kscale decides all of its training.

        Raises:
            TrialError: It is another, or gives outputs of another shape.
        """
        data = self.setup.dataset
        model, hp = self.models.build(spec, seed)
        first = {n: rows[:2] for n, rows in data.train.inputs.items()}
        with self.models.importable():
            given = model(single_or_named(first))
        heads = Heads.of(model, given, data.task)
        if not model.compiled and is_usual_fit(self.models):
            heads = replace(heads, scalings=self._scalings)
        self._check_count(spec, model)
        return model, hp, heads

    def _check_count(self, spec: Spec, model: keras.Model) -> None:
        """Raise unless a model is of the size that the budget allowed."""
        counted = self.models.size(spec).params
        if model.count_params() != counted:
            raise TrialError(
                f"the model has {model.count_params():,} parameters with these inputs, "
                f"but {counted:,} were counted"
            )

    def evaluate(self, training: Training, weights: Path, part: PartName) -> Evaluation:
        """As `Trainer.evaluate`."""
        model, heads = self._loaded(training, weights)
        return self.setup.test_score(part, self._outputs(model, heads, part))

    def ship(self, training: Training, weights: Path, path: Path) -> str:
        """As `Trainer.ship`; where a model cannot be saved, its weights are."""
        model, heads = self._loaded(training, weights)
        return save_own(model, heads, self.setup.dataset, path)

    def _loaded(self, training: Training, weights: Path) -> tuple[keras.Model, Heads]:
        model, _, heads = self._built(training.spec, training.seed)
        if load_checkpoint(weights, model, None) is None:
            raise TrialError(f"{weights} is missing or damaged: nothing to evaluate.")
        return model, heads

    def _outputs(self, model: keras.Model, heads: Heads, part: PartName) -> Outputs:
        """What a model gives for a part, as networks give it."""
        rows = self.setup.dataset.parts[part].inputs
        batch = min(_PREDICT_BATCH, len(next(iter(rows.values()))))
        return heads.read(
            model, model.predict(single_or_named(dict(rows)), batch, verbose=0)
        )
