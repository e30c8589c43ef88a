"""Scoring: what a LiteRT file of a network gives for examples of the network's data."""

import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from kscale.data.dataset import Dataset
from kscale.data.example_rows import row_bytes, spaced
from kscale.data.parts import PartName
from kscale.data.preprocessing import raw_inputs_of
from kscale.data.preprocessing.base import Preprocessing
from kscale.data.preprocessing.scaled import Scaled
from kscale.networks.families.base import Spec
from kscale.ship.artifacts import Artifact
from kscale.ship.comparing import pairs_of
from kscale.ship.runtimes import Arrays, TimedOutputs, tried_apart
from kscale.task.evaluation import Scores, evaluate_test
from kscale.task.objectives import Objective

CALIBRATED = 500
"""Most training examples of a calibration: ranges settle long before."""

_ALIKE = 2.0
"""How many times the smallest factor of an input's features the largest may be: the
three colours of an image differ by less."""

_MOST_BYTES = 2**30
"""Of the examples that a file is scored on."""


@dataclass(frozen=True)
class FileScorer:
    """Runs the files of a network in their runtime, without TensorFlow.

    Args:
        dataset: The data.
        spec: The network.
        objective: What a score is.
        most: Most examples to score a file on.
    """

    dataset: Dataset
    spec: Spec
    objective: Objective
    most: float = math.inf

    def artifact(self, path: Path) -> Artifact:
        """What stands around a file."""
        data, made = self.dataset, self.dataset.preprocessing_of(self.spec)
        inside = tuple(name for name, item in made.items() if _is_inside(item))
        return Artifact(path, data.task, made, inside, data.reader)

    def inputs(self, part: PartName, most: int) -> Arrays:
        """What files take for examples of a part, evenly spaced."""
        data, artifact = self.dataset.seen_by(self.spec), self.artifact(Path())
        chosen = spaced(len(data.parts[part]), most)
        inputs, raw = data.examples(data.parts[part], chosen)
        fed = {n: inputs[n] for n in inputs if n not in artifact.inside}
        fed |= {r.name: raw[r.name] for r in raw_inputs_of(artifact.carried)}
        return {artifact.takes[name]: array for name, array in fed.items()}

    def _most(self, part: PartName) -> int:
        """As `most`, of those that memory can hold."""
        inputs = self.dataset.parts[part].inputs.values()
        return int(min(max(_MOST_BYTES // sum(map(row_bytes, inputs)), 1), self.most))

    def answers(self, path: Path, part: PartName) -> TimedOutputs:
        """What a file gives for examples of a part, by target.

        Raises:
            ExportError: The file does not run.
        """
        timed = tried_apart(path, self.inputs(part, self._most(part)))
        return replace(timed, outputs=self.artifact(path).given(timed.outputs))

    def scores(self, part: PartName, timed: TimedOutputs) -> Scores:
        """What the answers to examples of a part reach."""
        data = self.dataset
        chosen = spaced(len(data.parts[part]), self._most(part))
        targets = data.seen_by(self.spec).parts[part].targets
        labels = {name: rows[chosen] for name, rows in targets.items()}
        pairs = pairs_of(data.task, labels, timed.outputs)
        return evaluate_test(self.objective, data.task, pairs)


def _is_inside(item: Preprocessing) -> bool:
    """Whether a file does a preprocessing itself, and loses nothing by fewer bits.

    A spectrogram in 8 bits is none. Unequal factors of features are folded into the
    first layer by the converter, where all features share the steps of the largest
    weight, and the others are lost.
    """
    if not isinstance(item, Scaled):
        return item.is_cheap
    factors = np.abs(item.scaling.scale)
    return bool(factors.max() <= _ALIKE * factors.min())
