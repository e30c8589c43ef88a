"""Opens the trained models of a run folder, with their preprocessing.

Where Keras does not open a model, the error says what does.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import is_zipfile

import keras

from kscale.data.preprocessing.scaled import scalings_from_json
from kscale.data.views import recorded_preprocessing
from kscale.errors import ExportError, ResultsError, reason_of, sentence_of
from kscale.networks.families import FAMILIES
from kscale.runs.entries import Entry
from kscale.ship.packaging import package_model
from kscale.task.tasks import Task

_CUSTOM = re.compile(r"Could not locate (?:class|function) '([^']+)'")
_LAYER = re.compile(r"deserializing class '(\w+)' using config=\{'name': '([^']+)'")


def shipped_model(
    folder: Path,
    description: Mapping[str, Any],
    which: str | Entry,
    custom_objects: Mapping[str, Any] | None = None,
    safe_mode: bool = True,
) -> keras.Model:
    """A trained model of a run folder with its preprocessing; see `Run.load_model`."""
    models = folder / "models"
    project = description.get("identity", {}).get("keras_tuner")
    if project is not None:
        raise ResultsError(
            f"{folder} has the results of {project} and no models; KerasTuner's own "
            "`Tuner.get_best_models` gives these."
        )
    if isinstance(which, Entry):
        if which.spec.family not in FAMILIES:
            raise ResultsError(
                f"Of {which.spec.family}, best and recommended can be loaded; the "
                "others need your own code to build them."
            )
        all_weights = [models / f"{training.key}.npz" for training in which.results]
        kept = [path for path in all_weights if path.exists()]
        if not kept:
            raise ResultsError(
                f"The weights of {which.spec.family} with {which.params:,} parameters "
                "were not kept: only those of the front and of finalists are."
            )
        return package_model(
            which.spec,
            Task.from_json(description["task"]),
            kept[0],
            recorded_preprocessing(description, which.spec),
            scalings_from_json(description["target_scaling"]),
            which.bits,
        )
    path, weights = models / f"{which}.keras", models / f"{which}.weights.h5"
    if which not in ("best", "recommended"):
        text = "; there are best and recommended once a search has ended."
        raise ResultsError(f"{folder} has no model {which!r}{text}")
    if path.exists():
        return open_model(path, custom_objects, safe_mode)
    if weights.exists():
        raise ResultsError(
            f"Keras could not save the {which} model of {folder} as a whole: build it "
            f"by your own code and load {weights} in Python with model.load_weights, "
            "or give its class a get_config, search again and it is saved."
        )
    raise ResultsError(
        f"{folder} has no {which} model: the search has not ended, or the model could "
        "not be written or was removed. The search's command, given again, writes it "
        "or says why it cannot."
    )


def open_model(
    path: Path, custom_objects: Mapping[str, Any] | None = None, safe_mode: bool = True
) -> keras.Model:
    """The model of a file in the folder of a run's models, not compiled.

    An `ExportError` says how a file opens that does not open like that.
    """
    objects = dict(custom_objects or {})
    try:
        return keras.saving.load_model(
            path, custom_objects=objects, compile=False, safe_mode=safe_mode
        )
    except Exception as error:  # a user's layers may fail in any way
        known = (*objects, *keras.saving.get_custom_objects())
        has_some = any(">" not in name for name in known)  # the others are registered
        raise ExportError(_reason_not_opened(path, error, has_some)) from error


def what_opening_needs(path: Path) -> str:
    """How a model opens where the user has registered no classes; empty if it does."""
    registered = keras.saving.get_custom_objects()
    kept = dict(registered)
    registered.clear()
    try:
        open_model(path)
    except ExportError as error:
        return str(error)
    finally:
        registered.update(kept)
    return ""


def _reason_not_opened(path: Path, error: Exception, has_some: bool) -> str:
    text = str(error)
    load = f"Run({str(path.parents[1])!r}).load_model({path.stem!r}"
    # What was given already is needed beside what is missing.
    others, given = ("..., ", "custom_objects={...}, ") if has_some else ("", "")
    if custom := _CUSTOM.search(text):
        return (
            f"{path} has {custom[1]}, code of your own: give kscale predict and export "
            f"--hypermodel MODULE:NAME, or open it in Python with {load}, "
            f"custom_objects={{{others}{custom[1]!r}: {custom[1]}}})."
        )
    if "`safe_mode=False`" in text:
        return (
            f"{path} has a Lambda layer, whose code is run only if you ask for it: in "
            f"Python, {load}, {given}safe_mode=False); keras.ops instead of the layer, "
            "or a class of your own, would not need that."
        )
    if isinstance(error, OSError | KeyError) or not is_zipfile(path):
        return f"{path} cannot be read; the search's command writes it again."
    return (
        f"{path} does not open ({keras_cause(error)}): the search's command writes it "
        f"again, or, if it has code of your own, {load}, custom_objects={{...}}) may "
        "open it."
    )


def keras_cause(error: Exception) -> str:
    """The cause that Keras names at the end of a long error, and the layer it is in.

    Example:

    >>> keras_cause(TypeError("config={...}.\\n\\nException encountered: units=-5"))
    'units=-5'
    """
    text = reason_of(error) if isinstance(error, LookupError) else str(error)
    *around, text = text.split("Exception encountered: ")
    marked = re.search(r"\x1b\[1m(.*?)\x1b\[0m", text, re.DOTALL)
    cause = sentence_of(marked[1] if marked else text)
    layer = _LAYER.search(around[-1]) if around else None
    return f"{layer[1]} {layer[2]!r}: {cause}" if layer else cause
