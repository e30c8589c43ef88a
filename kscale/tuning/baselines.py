"""Baseline: the model a user has now, named and told from others without Keras."""

from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

from kscale.errors import ExportError, SpecError

_DIGEST_BYTES = 8


@dataclass(frozen=True, eq=False)
class Baseline:
    """The user's present model, not loaded yet.

    Args:
        name: What reports call it: the name of the file, or of the model.
        digest: Same file, or same layers and weights, same value.
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
    digest = blake2b(digest_size=_DIGEST_BYTES)
    try:
        with path.open("rb") as file:
            while block := file.read(2**20):
                digest.update(block)
    except OSError as error:
        raise ExportError(
            f"{path} cannot be read ({error.strerror}): give a model saved as .keras."
        ) from error
    return Baseline(path.name, digest.hexdigest(), path)


def _digest_of_model(model: Any) -> str:
    """Of kinds of layers and of weights: names differ from one process to the next."""
    kinds = [type(layer).__name__ for layer in model.layers]
    digest = blake2b(repr(kinds).encode(), digest_size=_DIGEST_BYTES)
    for weight in model.get_weights():
        array = np.ascontiguousarray(weight)
        digest.update(repr((array.shape, str(array.dtype))).encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
