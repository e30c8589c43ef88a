"""Texts that a network writes for raw inputs as users have them: token by token, or
beginnings of transcripts that are followed from frame to frame of a sound."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from kscale.building.models import named_outputs
from kscale.data.preprocessing import raw_inputs_of
from kscale.data.preprocessing.base import Preprocessing, RawInput
from kscale.data.preprocessing.subwords import Subwords
from kscale.data.views import recorded_preprocessing
from kscale.engine.base import BEAMS
from kscale.engine.tensorflow.decoding import decoder_of, likely_transcripts
from kscale.networks.blueprint import Blueprint
from kscale.networks.families import find_family
from kscale.networks.views import viewed
from kscale.runs.entries import Entry
from kscale.runs.folder import RecordedRun
from kscale.ship.packaging import trained_network, with_preprocessing
from kscale.ship.prediction import Answer
from kscale.task.tasks import Task


def searched(answer: Answer, task: Task, beams: int) -> Answer:
    """An answer of frames of sounds, as the ids that a search with beams finds."""

    def ids(raw: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        (target,), given = task.targets, answer(raw)
        found = likely_transcripts(given[target.name], beams)
        return {target.name: np.asarray(found)}

    return ids


@dataclass(frozen=True)
class Writer:
    """A trained network that writes texts: translations, or how texts go on.

    Args:
        task: What the network takes in and predicts, as the network sees it.
        preprocessing: By input of the network.
        blueprint: The network.
        network: The model of the blueprint, with trained weights.
        temperature: How freely a text goes on: tokens are drawn from probabilities that
            a low temperature makes less alike; 0 takes the likeliest.
        beams: Beginnings of a translation that are followed at once.
    """

    task: Task
    preprocessing: Mapping[str, Preprocessing]
    blueprint: Blueprint
    network: keras.Model
    temperature: float = 0.0
    beams: int = BEAMS

    @classmethod
    def of(
        cls,
        run: RecordedRun,
        which: str | Entry,
        temperature: float = 0.0,
        beams: int = BEAMS,
    ) -> "Writer":
        """A network of a run.

        Raises:
            ExportError: The weights are missing or damaged.
            ResultsError: There is no such network in the run.
        """
        training = run.shipped(which)
        blueprint = find_family(training.spec.family).blueprint(training.spec, run.task)
        return cls(
            viewed(run.task, dict(training.spec.knobs)),
            recorded_preprocessing(run.description, training.spec),
            blueprint,
            trained_network(blueprint, run.folder / "models" / f"{training.key}.npz"),
            temperature,
            beams,
        )

    @property
    def raw_inputs(self) -> list[RawInput]:
        """The raw inputs that a user gives."""
        read = {
            item.name: self.preprocessing[item.name] for item in self.task.given_inputs
        }
        return raw_inputs_of(read)

    @cached_property
    def _decoder(self) -> Any:
        return decoder_of(self.blueprint, self.network, self.task)

    def decode(self, ids: Mapping[str, Any]) -> Any:
        """Ids of a text, `(examples, length)`, for ids by input that a user gives.

        A translation is the best of some beams. A text that goes on begins with the
        given ids, which have no start.
        """
        (target,) = self.task.targets
        if target.head.compared is not None:
            found, _ = self._decoder.beam(ids, target.length, self.beams)
        elif self.temperature:
            found, _ = self._decoder.sample(ids, target.length, self.temperature)
        else:
            found, _ = self._decoder.greedy(ids, target.length)
        return found

    def answer(self, raw: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Ids of a text by target, for raw inputs by name."""
        ids = {}
        for item in self.task.given_inputs:
            made = self.preprocessing[item.name]
            ids[item.name] = (
                self._begun(made, raw) if item.previous else made.apply(raw)
            )
        return {self.task.targets[0].name: np.asarray(self.decode(ids))}

    def noted(self, raw: Mapping[str, Any]) -> dict[str, str]:
        """By raw input, what is not read of a long text."""
        found = {}
        for item in self.task.given_inputs:
            made = self.preprocessing[item.name]
            if isinstance(made, Subwords):
                (count,) = map(len, made.encoded([str(raw[made.raw.name])]))
                most = made.length // 2 if item.previous else made.length
                which = "last" if item.previous else "first"
                if count - bool(item.previous) > max(1, most):
                    found[made.raw.name] = (
                        f"A text has {count - 1:,} sub-words, of which the {which} "
                        f"{most:,} are read."
                    )
        return found

    def _begun(
        self, made: Preprocessing, raw: Mapping[str, NDArray[Any]]
    ) -> NDArray[np.int32]:
        """The ids of texts that go on, without an end: the last ones of a long text, so
        that as many may follow."""
        assert isinstance(made, Subwords)
        most = max(1, made.length // 2)
        texts = [str(text) for text in raw[made.raw.name].reshape(-1)]
        found = np.zeros((len(texts), most), np.int32)
        for row, ids in zip(found, made.encoded(texts), strict=True):
            last = ids[:-1][-most:]
            row[: len(last)] = last
        return found

    def model(self, name: str) -> keras.Model:
        """A model of ids, which gives the probabilities of each next token."""

        def outputs(read: Mapping[str, Any]) -> dict[str, Any]:
            return named_outputs(self.network, self.task, read)

        return with_preprocessing(name, outputs, self.task, self.preprocessing, {})
