"""Reads Keras models from files of strangers, and runs no code in them."""

import json
import random
import re
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras.src.backend.common import global_state

from kscale.errors import ExportError, reason_of, sentence_of

_LARGEST_CONFIG = 10**8
_LAYER = re.compile(r"deserializing class '(\w+)' using config=\{'name': '([^']+)'")
_SPECIAL = re.compile(r"__(keras_tensor|tensor|numpy|bytes|ellipsis|slice)__")
# Where Keras' layers, operations and what they are made with live. Its other modules
# hold functions that fetch or open files, which a layer must not be made of.
_STOCK = re.compile(
    r"keras(\.(src\.)?(layers|ops|models|initializers|regularizers|constraints"
    r"|activations|dtype_policies|quantizers|random)(\..*)?)?"
)
# Where Keras looks for a function that has only a name.
_FUNCTIONS = (
    keras.activations,
    keras.constraints,
    keras.initializers,
    keras.regularizers,
)
# Layers that hold code, or the path of some.
_CODE = ("Lambda", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer")
# Layers that come with two networks of `keras.applications`.
_OF_APPLICATIONS = ("LayerScale", "StochasticDepth", "CustomScaleLayer")


# What a build changes in Keras for those that come after it.
_STATE = (
    "object_name_uids",
    "global_seed_generator",
    "uninitialized_variables",
    "dtype_policy",
)


@contextmanager
def no_trace() -> Iterator[None]:
    """Leaves Keras' counters and everybody's random numbers as they were."""
    state = {name: global_state.get_global_attribute(name) for name in _STATE}
    state["object_name_uids"] = copy(state["object_name_uids"])
    # Keras would give values to those that wait, at the next build of anything.
    global_state.set_global_attribute("uninitialized_variables", [])
    python, numpy = random.getstate(), np.random.get_state()
    try:
        yield
    finally:
        for name, value in state.items():
            global_state.set_global_attribute(name, value)
        random.setstate(python)
        np.random.set_state(numpy)


def read_model(path: Path, shape: tuple[int, ...] | None = None) -> keras.Model:
    """The model of a `.keras` file, with weights that have shapes but no values.

    The shape of one example is for a model that was saved before it had an input. What
    is damaged, no Keras model, or has custom code is an `ExportError`.
    """
    config = _without_training(_config(path))
    _check_stock(config, path.name)
    with no_trace(), keras.StatelessScope(initialize_variables=False):
        model = _model_of(
            lambda: keras.saving.deserialize_keras_object(config, safe_mode=True), path
        )
        if model.built:
            return model
        if shape is None:
            raise ExportError(
                f"{path.name} was saved before it had an input: give its shape with "
                "--input, or call it once before saving."
            )
        try:
            model.build((None, *shape))
        except Exception as error:  # layers refuse a shape in many ways
            text = f"{path.name} cannot take {'x'.join(map(str, shape))}"
            raise ExportError(f"{text}: {cause_of(error)}") from error
    return model


def load_trained(path: Path) -> keras.Model:
    """The model of a `.keras` file with its weights, not compiled; or `ExportError`."""
    # The loss and the metrics, which may be the user's, are not read.
    _check_stock({**_config(path), "compile_config": None}, path.name)
    model = _model_of(
        lambda: keras.saving.load_model(path, compile=False, safe_mode=True), path
    )
    if not model.built:
        raise ExportError(
            f"{path.name} was saved before it had weights: call the model once on an "
            "example before saving it."
        )
    return model


def _model_of(make: Callable[[], Any], path: Path) -> keras.Model:
    try:
        model = make()
    except Exception as error:  # a file from a stranger may fail in any way
        raise ExportError(
            f"{path.name} cannot be rebuilt from Keras' own layers: {cause_of(error)}."
        ) from error
    if not isinstance(model, keras.Model):
        raise ExportError(f"{path.name} holds a {type(model).__name__}, not a model.")
    return model


def cause_of(error: Exception) -> str:
    """The cause that Keras names at the end of a long error, and the layer it is in.

    Example:

    >>> cause_of(TypeError("config={...}.\\n\\nException encountered: units=-5"))
    'units=-5'
    """
    text = reason_of(error) if isinstance(error, LookupError) else str(error)
    *around, text = text.split("Exception encountered: ")
    marked = re.search(r"\x1b\[1m(.*?)\x1b\[0m", text, re.DOTALL)
    cause = sentence_of(marked[1] if marked else text)
    layer = _LAYER.search(around[-1]) if around else None
    return f"{layer[1]} {layer[2]!r}: {cause}" if layer else cause


def _config(path: Path) -> dict[str, Any]:
    if path.is_dir() or path.name.lower().endswith(".weights.h5"):
        what = "a folder, as of a SavedModel" if path.is_dir() else "weights alone"
        raise ExportError(
            f"{path} is {what}: give a model saved with model.save('name.keras')."
        )
    if not path.is_file():
        raise ExportError(f"{path} is no file: give a model saved as .keras.")
    if path.suffix.lower() in (".h5", ".hdf5"):
        raise ExportError(
            f"{path} is in Keras' old format, which may hold code: open it where you "
            "trust it and save it anew with model.save('name.keras')."
        )
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.getinfo("config.json").file_size > _LARGEST_CONFIG:
                raise ExportError(f"{path} is damaged: its config is too large.")
            config = json.loads(archive.read("config.json"))
        if not {"class_name", "config"} <= config.keys():
            raise ValueError
        _without_training(config)  # fails if it is nested too deeply
    except ExportError:
        raise
    except Exception as error:  # each way to compress fails in its own way
        raise ExportError(
            f"{path} is no Keras model, or a damaged one: save it anew with "
            "model.save('name.keras')."
        ) from error
    return dict(config)


def _without_training(config: Any) -> Any:
    """A config without losses, metrics and optimizers, which may be the user's."""
    if isinstance(config, dict):
        kept = config.items()
        return {k: _without_training(v) for k, v in kept if k != "compile_config"}
    if isinstance(config, list):
        return [_without_training(item) for item in config]
    return config


def _check_stock(config: Any, name: str) -> None:
    """Refuse a config with a class that is not Keras', before any is looked up."""
    if isinstance(config, dict) and "class_name" in config:
        _check_class(config, name)
    inside = config.values() if isinstance(config, dict) else config
    for value in inside if isinstance(config, dict | list) else ():
        _check_stock(value, name)


def _check_class(config: dict[str, Any], name: str) -> None:
    kind, module = str(config["class_name"]), config.get("module")
    if kind in (*_CODE, "__lambda__"):
        layer = kind.strip("_").replace("lambda", "Lambda")
        raise ExportError(
            f"{name} has a {layer} layer, whose code is not run: replace it by "
            "keras.ops or a stock layer."
        )
    # What an older Keras wrote has no module; a class of the main program has None.
    if _SPECIAL.fullmatch(kind) or "module" not in config:
        return
    function = str(config.get("config")) if kind == "function" else ""
    is_of_applications = (
        str(module).startswith("keras.src.applications.") and kind in _OF_APPLICATIONS
    )
    if (
        (module == "builtins" and any(hasattr(m, function) for m in _FUNCTIONS))
        or _STOCK.fullmatch(str(module))
        or is_of_applications
        # The program that calls this may have registered a class.
        or keras.saving.get_registered_object(config.get("registered_name")) is not None
    ):
        return
    path = f"{module}.{kind}" if module else kind
    what = f"function, {function}" if function else f"class, {path}"
    raise ExportError(
        f"{name} has a custom {what}, whose code is not run: only stock Keras layers "
        "can be counted from a file."
    )
