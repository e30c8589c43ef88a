"""Opening a saved model, and what to do where Keras does not open it by itself."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import is_zipfile

import keras

from kscale.errors import ExportError
from kscale.ship.model_files import cause_of

_OWN = re.compile(r"Could not locate (?:class|function) '([^']+)'")


def open_model(
    path: Path, custom_objects: Mapping[str, Any] | None = None, safe_mode: bool = True
) -> keras.Model:
    """The model of a file in the folder of a run's models, not compiled.

    Args:
        path: What `save_model` wrote.
        custom_objects: Classes and functions of the user's own that it has, by name.
        safe_mode: Whether the code of Lambda layers, which the file holds, is refused.

    Raises:
        ExportError: It does not open; the text says what does.
    """
    objects = dict(custom_objects or {})
    try:
        return keras.saving.load_model(
            path, custom_objects=objects, compile=False, safe_mode=safe_mode
        )
    except Exception as error:  # a user's layers may fail in any way
        known = (*objects, *keras.saving.get_custom_objects())
        has_some = any(">" not in name for name in known)  # the others are registered
        raise ExportError(_not_opened(path, error, has_some)) from error


def opens_alone(path: Path) -> str:
    """What is needed to open a model where nothing of the user's own is registered.

    Returns:
        A sentence; empty if nothing is needed.
    """
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


def _not_opened(path: Path, error: Exception, has_some: bool) -> str:
    text = str(error)
    load = f"Run({str(path.parents[1])!r}).load_model({path.stem!r}"
    # What was given already is needed beside what is missing.
    others, given = ("..., ", "custom_objects={...}, ") if has_some else ("", "")
    if own := _OWN.search(text):
        return (
            f"{path} has {own[1]}, code of your own: give kscale predict and export "
            f"--hypermodel MODULE:NAME, or open it in Python with {load}, "
            f"custom_objects={{{others}{own[1]!r}: {own[1]}}})."
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
        f"{path} does not open ({cause_of(error)}): the search's command writes it "
        f"again, or, if it has code of your own, {load}, custom_objects={{...}}) may "
        "open it."
    )
