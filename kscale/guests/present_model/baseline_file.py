"""Baseline: the model a user has now, with a name and a digest, not loaded yet."""

import json
import re
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b, file_digest
from io import BufferedReader
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kscale.errors import ExportError, SpecError, missing_path

_OF_SAVING = ("build_config", "compile_config", "shared_object_id")
# Of a layer, not of a policy of types: there a name is a setting.
_NAME = re.compile(r'(?<!Policy", "config": \{)"name": "([^"]+)"')


@dataclass(frozen=True, eq=False)
class Baseline:
    """The user's present model, not loaded yet.

    Args:
        name: What reports call it: the name of the file, or of the model.
        digest: The same for the same layers with the same settings and weights, also if
            a file was saved anew. A file and the model in it have different digests.
        source: Path of a `.keras` file, or a `keras.Model`.
    """

    name: str
    digest: str
    source: Any


def find_baseline(given: Any, is_retrained: bool = False) -> Baseline | None:
    """The baseline of a search, a path or a `keras.Model`; None for none."""
    if given is None and is_retrained:
        raise SpecError("Nothing to train anew: --retrain-baseline needs --baseline.")
    if given is None:
        return None
    if isinstance(given, str | Path):
        path = Path(given)
        try:
            with path.open("rb") as file:
                return Baseline(path.name, _digest_of_file(file), path)
        except FileNotFoundError as error:
            raise ExportError(missing_path(path)) from error
        except OSError as error:
            raise ExportError(
                f"{path} cannot be read ({error.strerror}): give a model saved as "
                ".keras."
            ) from error
    if not (hasattr(given, "get_weights") and hasattr(given, "layers")):
        raise SpecError(
            "`baseline` must be the path of a .keras file or a keras.Model, but got "
            f"{type(given).__name__}."
        )
    config = _settings(given)
    if "layers" not in config:  # the model hides its settings
        config["layers"] = list(map(_settings, given._flatten_layers()))
    kinds = [type(layer).__name__ for layer in given.layers]
    return Baseline(given.name, _digest([kinds, config], given.get_weights()), given)


def _settings(layer: Any) -> dict[str, Any]:
    """Settings of a layer; empty if the class of a user does not give them."""
    try:
        return dict(layer.get_config())
    except Exception:
        return {}


def _digest_of_file(file: BufferedReader) -> str:
    """Digest of the model in a file, or of the bytes of a file without a model."""
    import h5py  # that every command would wait for

    weights: list[NDArray[Any]] = []

    def keep(name: str, item: Any) -> None:
        is_state = name.startswith("optimizer") or "seed_generator" in name
        if isinstance(item, h5py.Dataset) and not is_state:
            weights.append(item[()])

    try:
        with zipfile.ZipFile(file) as archive:
            config = json.loads(archive.read("config.json"))
            with archive.open("model.weights.h5") as raw, h5py.File(raw, "r") as saved:
                saved.visititems(keep)
            return _digest([config["class_name"], config["config"]], weights)
    except Exception:  # a file of a stranger may hold anything
        file.seek(0)
        return file_digest(file, lambda: blake2b(digest_size=8)).hexdigest()


def _digest(config: Any, weights: Iterable[NDArray[Any]]) -> str:
    """Digest of settings and of weights in their order."""
    digest = blake2b(_plain(config).encode(), digest_size=8)
    for weight in weights:
        digest.update(repr((weight.shape, str(weight.dtype))).encode())
        digest.update(np.ascontiguousarray(weight).tobytes())
    return digest.hexdigest()


def _plain(config: Any) -> str:
    """Settings as text, without what only building and saving add.

    Names of layers differ from one process to the next, so their places stand for them.
    """
    text = json.dumps(config, default=lambda item: type(item).__name__, skipkeys=True)
    kept = json.loads(
        text, object_hook=lambda d: {k: d[k] for k in d if k not in _OF_SAVING}
    )
    text = json.dumps(kept)
    for place, name in enumerate(dict.fromkeys(_NAME.findall(text))):
        text = text.replace(f'"{name}"', f'"#{place}"')
    return text
