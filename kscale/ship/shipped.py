"""The trained models of a run folder, with their preprocessing."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras

from kscale.data.preprocessing import preprocessings_from_json
from kscale.data.scaling import scalings_from_json
from kscale.errors import ResultsError
from kscale.networks.families.base import is_own
from kscale.runs.entries import Entry
from kscale.ship.opening import open_model
from kscale.ship.packaging import package_model
from kscale.task.tasks import Task


def shipped_model(
    folder: Path,
    description: Mapping[str, Any],
    which: str | Entry,
    custom_objects: Mapping[str, Any] | None = None,
    safe_mode: bool = True,
) -> keras.Model:
    """What `Run.load_model` gives.

    Args:
        folder: A run folder.
        description: What its `run.json` says.
        which: `best`, `recommended`, or an entry of the front.
        custom_objects, safe_mode: As `open_model`.

    Raises:
        ExportError: The file or the weights are damaged.
        ResultsError: There is no such model in the folder.
    """
    if isinstance(which, Entry) and is_own(which.spec.family):
        raise ResultsError(
            f"Of {which.spec.family}, best and recommended can be loaded; the others "
            "need your own code to build them."
        )
    if isinstance(which, Entry):
        return package_model(
            which.spec,
            Task.from_json(description["task"]),
            _weights(folder, which),
            preprocessings_from_json(description["preprocessing"]),
            scalings_from_json(description["target_scaling"]),
        )
    path = folder / "models" / f"{which}.keras"
    if which not in ("best", "recommended") or not path.exists():
        raise ResultsError(_missing(folder, which))
    return open_model(path, custom_objects, safe_mode)


def _missing(folder: Path, which: str) -> str:
    weights = folder / "models" / f"{which}.weights.h5"
    if which in ("best", "recommended") and weights.exists():
        return (
            f"Keras could not save the {which} model of {folder} as a whole: build it "
            f"by your own code and load {weights} in Python with model.load_weights, "
            "or give its class a get_config, search again and it is saved."
        )
    return (
        f"{folder} has no model {which!r}; there are best and recommended once a "
        "search has ended."
    )


def _weights(folder: Path, entry: Entry) -> Path:
    for training in entry.results:
        path = folder / "models" / f"{training.key}.npz"
        if path.exists():
            return path
    raise ResultsError(
        f"The weights of {entry.spec.family} with {entry.params:,} parameters were "
        "not kept: only those of the front and of finalists are."
    )
