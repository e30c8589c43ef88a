"""Reads Keras models from files of strangers, and runs no code in them."""

import json
import re
import zipfile
from pathlib import Path
from typing import Any

import h5py
import keras

from kscale.errors import ExportError, missing_path
from kscale.guests.sizes.weightless import no_trace, shapes_only
from kscale.ship.opening import keras_cause
from kscale.text import printable

_LARGEST_CONFIG = 10**8
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


def read_model(path: Path, shape: tuple[int, ...] | None = None) -> keras.Model:
    """The model of a `.keras` file, with weights that have shapes but no values.

    The shape of one example is for a model that was saved before it had an input. A
    file that is damaged, holds no Keras model, or has custom code is an `ExportError`.
    """
    config = _plain(_config(path))
    _check_stock(config, path.name)
    with no_trace(), shapes_only():
        try:
            model = keras.saving.deserialize_keras_object(config, safe_mode=True)
        except Exception as error:  # a file from a stranger may fail in any way
            raise ExportError(
                f"{path.name} cannot be rebuilt from Keras' own layers: "
                f"{keras_cause(error)}{_other_version(path)}."
            ) from error
        if not isinstance(model, keras.Model):
            kind = type(model).__name__
            raise ExportError(f"{path.name} holds a {kind}, not a model.")
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
            raise ExportError(f"{text}: {keras_cause(error)}") from error
    return model


def load_trained(path: Path) -> keras.Model:
    """The model of a `.keras` file with its weights, not compiled; or `ExportError`."""
    # The loss and the metrics, which may be the user's, are not read.
    _check_stock({**_config(path), "compile_config": None}, path.name)
    if path.suffix != ".keras":
        raise ExportError(
            f"{path} holds a Keras model, which Keras opens only by a name that ends "
            "with .keras: rename it."
        )
    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
        if not isinstance(model, keras.Model):
            raise TypeError
    except Exception as error:  # a file from a stranger may fail in any way
        read_model(path)  # raises if the layers are what fails
        raise ExportError(
            f"{path.name} has no weights, damaged ones or those of another model: save "
            "it anew with model.save('name.keras')."
        ) from error
    if not model.built:
        raise ExportError(
            f"{path.name} was saved before it had weights: call the model once on an "
            "example before saving it."
        )
    return model


def of_any_batch(model: keras.Model) -> keras.Model:
    """A model that takes batches of any size and keeps no state between them, or the
    model as it is where that cannot be built."""
    sizes = [item.shape[0] for item in getattr(model, "inputs", None) or ()]
    layers = model._flatten_layers()
    if not any(sizes) and not any(getattr(each, "stateful", False) for each in layers):
        return model
    try:
        config = _plain(keras.saving.serialize_keras_object(model))
        twin = keras.saving.deserialize_keras_object(config)
        twin.set_weights(model.get_weights())
        return twin
    except Exception:  # layers of a stranger may fail in any way
        return model


def _config(path: Path) -> dict[str, Any]:
    # Weights inside a `.keras` file may lie where HDF5 looks for its beginning.
    is_hdf5 = h5py.is_hdf5(path) and not zipfile.is_zipfile(path)
    is_weights = is_hdf5 and not _has_model(path)
    what = "a folder, as of a SavedModel" if path.is_dir() else ""
    if is_weights or path.name.lower().endswith(".weights.h5"):
        what = "weights alone"
    if what:
        raise ExportError(
            f"{path} is {what}: give a model saved with model.save('name.keras')."
        )
    if not path.is_file():
        raise ExportError(missing_path(path))
    if is_hdf5 or path.suffix.lower() in (".h5", ".hdf5"):
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
        _plain(config)  # fails if it is nested too deeply
    except ExportError:
        raise
    except Exception as error:  # each way to compress fails in its own way
        raise ExportError(
            f"{path} is no Keras model, or a damaged one: save it anew with "
            "model.save('name.keras')."
        ) from error
    return dict(config)


def _other_version(path: Path) -> str:
    """Which Keras wrote a file, where this one is another."""
    try:
        with zipfile.ZipFile(path) as archive:
            version = str(json.loads(archive.read("metadata.json"))["keras_version"])
    except Exception:  # a file from a stranger may fail in any way
        return ""
    here = keras.__version__
    text = f" (saved by Keras {printable(version)}; this is {here})"
    return "" if version == here else text


def _has_model(path: Path) -> bool:
    try:
        with h5py.File(path, "r") as file:
            return "model_config" in file.attrs
    except OSError:  # of another form, or damaged
        return True


def _plain(config: Any) -> Any:
    """A config without losses and metrics, which may be a user's code, without sizes of
    batches, and without states between batches."""
    if isinstance(config, list | tuple):
        return [_plain(item) for item in config]
    if not isinstance(config, dict):
        return config
    kept = {k: _plain(v) for k, v in config.items() if k != "compile_config"}
    if kept.get("stateful"):
        kept["stateful"] = False
    if isinstance(kept.get("batch_shape"), list):
        kept["batch_shape"] = [None, *kept["batch_shape"][1:]]
    return kept


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
    if module == "keras.layers" and not hasattr(keras.layers, kind):
        raise ExportError(
            f"{name} cannot be rebuilt from Keras' own layers: Keras "
            f"{keras.__version__} has no layer {kind}."
        )
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
        "are read from a file; in Python, give the model itself."
    )
