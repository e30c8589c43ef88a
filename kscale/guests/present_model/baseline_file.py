"""Baseline: the model a user has now, named and told from others without Keras."""

import json
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b, file_digest
from io import BufferedReader
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kscale.errors import ExportError, SpecError

if TYPE_CHECKING:
    import h5py

_DIGEST_BYTES = 8
_OF_SAVING = ("build_config", "compile_config", "shared_object_id")


@dataclass(frozen=True, eq=False)
class Baseline:
    """The user's present model, not loaded yet.

    Args:
        name: What reports call it: the name of the file, or of the model.
        digest: Same layers with the same settings and weights, same value: also where
            they were saved anew. That of a file is not that of the model it holds.
        source: Path of a `.keras` file, or a `keras.Model`.
    """

    name: str
    digest: str
    source: Any


def find_baseline(given: Any, is_retrained: bool = False) -> Baseline | None:
    """The baseline that a search was given; None for none.

    Args:
        given: Path of a `.keras` file, a `keras.Model`, or None.
        is_retrained: Whether it shall be trained anew.

    Raises:
        ExportError: There is no such file.
        SpecError: It is neither, or None although it shall be trained anew.
    """
    if given is None:
        if is_retrained:
            raise SpecError(
                "Nothing to train anew: --retrain-baseline needs --baseline."
            )
        return None
    if isinstance(given, str | Path):
        return _of_file(Path(given))
    if not (hasattr(given, "get_weights") and hasattr(given, "layers")):
        raise SpecError(
            "`baseline` must be the path of a .keras file or a keras.Model, but got "
            f"{type(given).__name__}."
        )
    return Baseline(str(given.name), _digest_of_model(given), given)


def _of_file(path: Path) -> Baseline:
    try:
        with path.open("rb") as file:
            return Baseline(path.name, _digest_of_file(file), path)
    except OSError as error:
        raise ExportError(
            f"{path} cannot be read ({error.strerror}): give a model saved as .keras."
        ) from error


def _digest_of_file(file: BufferedReader) -> str:
    """Of what it holds; of its bytes where that is no model, as loading it will say."""
    import h5py  # that every command would wait for

    try:
        with zipfile.ZipFile(file) as archive:
            config = json.loads(archive.read("config.json"))
            with archive.open("model.weights.h5") as raw, h5py.File(raw, "r") as saved:
                return _digest([config["class_name"], config["config"]], _saved(saved))
    except Exception:  # a file of a stranger may hold anything
        file.seek(0)
        return file_digest(file, _blake).hexdigest()


def _saved(file: "h5py.File") -> Iterator[NDArray[Any]]:
    """Weights by their places in the model, without states of optimizers and seeds."""
    import h5py

    names: list[str] = []
    file.visit(names.append)
    for name in names:
        is_weight = not name.startswith("optimizer") and "seed_generator" not in name
        if is_weight and isinstance(file[name], h5py.Dataset):
            yield file[name][()]


def _digest_of_model(model: Any) -> str:
    """Of its settings too: where it does not tell them, of those of its layers."""
    kinds = [type(layer).__name__ for layer in model.layers]
    config = _settings(model)
    if "layers" not in config:
        config["layers"] = list(map(_settings, model._flatten_layers()))
    return _digest([kinds, {"config": config}], model.get_weights())


def _settings(layer: Any) -> dict[str, Any]:
    """As far as it can tell them: a class of a user's own need not."""
    try:
        return dict(layer.get_config())
    except Exception:
        return {}


def _digest(config: Any, weights: Iterable[NDArray[Any]]) -> str:
    """Of settings and weights in their order, not of names: they differ from one
    process to the next."""
    names = dict.fromkeys(_names(config))
    plain = _renamed(config, {name: f"#{place}" for place, name in enumerate(names)})
    digest = _blake(json.dumps(plain, sort_keys=True, default=_kind).encode())
    for weight in weights:
        array = np.ascontiguousarray(weight)
        digest.update(repr((array.shape, str(array.dtype))).encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def _blake(content: bytes = b"") -> blake2b:
    return blake2b(content, digest_size=_DIGEST_BYTES)


def _kind(item: object) -> str:
    return type(item).__name__


def _names(config: Any) -> Iterator[str]:
    """Names of layers, in order; that of a policy of dtypes says something."""
    if isinstance(config, list | tuple):
        for item in config:
            yield from _names(item)
    if not isinstance(config, dict) or "Policy" in str(config.get("class_name")):
        return
    if isinstance(config.get("name"), str):
        yield config["name"]
    for value in config.values():
        yield from _names(value)


def _renamed(config: Any, places: Mapping[str, str]) -> Any:
    """Settings with places for names, without what building and saving add."""
    if isinstance(config, str):
        return places.get(config, config)
    if isinstance(config, list | tuple):
        return [_renamed(item, places) for item in config]
    if not isinstance(config, dict):
        return config
    return {
        str(key): _renamed(value, places)
        for key, value in config.items()
        if key not in _OF_SAVING
    }
