"""Texts that a network writes, token by token, for raw inputs as users have them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kscale.data.preprocessing import raw_inputs_of
from kscale.data.preprocessing.base import Preprocessing, RawInput
from kscale.data.views import recorded_preprocessing
from kscale.engine.base import BEAMS
from kscale.engine.tensorflow.decoding import decoder_of
from kscale.networks.families import find_family
from kscale.networks.families.base import Spec
from kscale.networks.views import viewed
from kscale.runs.entries import Entry
from kscale.runs.folder import RecordedRun
from kscale.ship.packaging import trained_network
from kscale.ship.prediction import Answer
from kscale.task.tasks import Input, Task


def writer_of_run(
    run: RecordedRun, which: str | Entry
) -> tuple[Answer, Task, Sequence[RawInput]]:
    """What a trained network of a run writes, the task as the network sees it, and the
    raw inputs that are read.

    Raises:
        ExportError: The weights are damaged.
        ResultsError: There is no such network in the run.
    """
    training = run.shipped(which)
    task = viewed(run.task, dict(training.spec.knobs))
    weights = run.folder / "models" / f"{training.key}.npz"
    preprocessing = recorded_preprocessing(run.description, training.spec)
    writer = writer_of(training.spec, run.task, weights, preprocessing)
    read = {item.name: preprocessing[item.name] for item in _read(task)}
    return writer, task, raw_inputs_of(read)


def _read(task: Task) -> Sequence[Input]:
    """The inputs that a user gives: sources, or the begin of what is continued."""
    return [item for item in task.inputs if not item.previous] or task.inputs


def writer_of(
    spec: Spec, task: Task, weights: Path, preprocessing: Mapping[str, Preprocessing]
) -> Answer:
    """What a trained network writes: a translation of each text, or how a text goes on.

    Args:
        spec: The network.
        task: What the data have.
        weights: The checkpoint of the network.
        preprocessing: By input, in the view of the spec.

    Raises:
        ExportError: The weights are missing or damaged.
    """
    seen = viewed(task, dict(spec.knobs))
    blueprint = find_family(spec.family).blueprint(spec, task)
    decoder = decoder_of(blueprint, trained_network(blueprint, weights), seen)
    (target,) = seen.targets

    def answer(raw: Mapping[str, NDArray[Any]]) -> Mapping[str, NDArray[Any]]:
        ids = {}
        for item in _read(seen):
            found = preprocessing[item.name].apply(raw)
            ids[item.name] = found[:, 1:] if item.previous else found  # no start
        written, _ = decoder.beam(ids, target.length, BEAMS)
        return {target.name: np.asarray(written)}

    return answer
