"""Subjects: what of a run is compressed, and the methods that usually suit that."""

from kscale.data.dataset import Dataset
from kscale.engine.recipe import Recipe
from kscale.errors import ResultsError
from kscale.networks.blueprint import Attention, Blueprint, Recurrent, flat_layers
from kscale.networks.families import FAMILIES
from kscale.runs.entries import Entry
from kscale.runs.folder import RecordedRun
from kscale.runs.records import Training
from kscale.ship.compressing.contract import Subject, Trained

_ALWAYS = ("int8-weights", "int4", "float16")


def subject_of(run: RecordedRun, which: str | Entry, dataset: Dataset) -> Subject:
    """What of a run is compressed.

    Args:
        run: The run.
        which: `best`, `recommended`, or an entry of the front.
        dataset: The data of the run.

    Raises:
        ResultsError: There is no such network of a family in the run, its answers are
            sequences, or its weights were not kept.
    """
    training = run.shipped(which)
    if run.task.has_sequences:
        raise ResultsError(
            "Networks whose answers are sequences are not compressed yet; kscale "
            "export writes them in float32."
        )
    if training.spec.family not in FAMILIES:
        raise ResultsError(
            f"{training.spec.family} is code of your own: kscale compress makes files "
            "of the networks of families, and kscale export of any."
        )
    network = _trained(run, training)
    if network is None:
        raise ResultsError(
            f"The weights of the network {run.answer(which).label} of {run.folder} are "
            "gone; the search's command, given again, writes them."
        )
    identity = run.description["identity"]
    return Subject(
        network,
        _teacher(run, training),
        dataset,
        run.objective,
        Recipe(identity["epochs"], identity["batch_size"]),
        str(identity.get("class_weights") or "none"),
        parametrization=str(identity.get("parametrization") or "standard"),
    )


def _trained(run: RecordedRun, training: Training) -> Trained | None:
    weights = run.folder / "models" / f"{training.key}.npz"
    rate = training.learning_rate or 0.0
    return Trained(training.spec, weights, rate) if weights.is_file() else None


def _teacher(run: RecordedRun, training: Training) -> Trained | None:
    """The best network of the run, if the network is smaller and not as good; of those
    whose weights were kept."""
    gain = run.objective.gain
    larger = [
        entry
        for entry in run.entries()
        if entry.params > training.params
        and gain(entry.score, training.score or 0.0) > 0
    ]
    larger.sort(key=lambda entry: -gain(entry.score, 0.0))
    found = (_trained(run, each) for entry in larger for each in entry.results)
    return next((each for each in found if each is not None), None)


def usual_methods(blueprint: Blueprint) -> tuple[str, ...]:
    """Names of the methods that suit a network.

    Static int8 is for networks without recurrence and attention: the quantizer refuses
    the one, and the other becomes slower.
    """
    layers = flat_layers(blueprint)
    is_dynamic = any(isinstance(layer, Attention | Recurrent) for layer in layers)
    return ("int8-dynamic" if is_dynamic else "int8", *_ALWAYS)
