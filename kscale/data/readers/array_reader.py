"""Examples of NPY and NPZ files."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from kscale.data.examples import Example, Reader, existing
from kscale.errors import DataError, reason_of

_KEYS = ("x_test", "x", "X", "x_train")


@dataclass(frozen=True)
class ArrayReader(Reader):
    """Arrays of one raw input, by its name and the shape of an example."""

    kind: ClassVar[str] = "arrays"
    suffixes: ClassVar[tuple[str, ...]] = (".npy", ".npz")

    name: str = "x"
    shape: tuple[int, ...] = ()

    def readable(self, path: Path) -> Iterator[Example]:
        """The rows of an NPY file, or of `x_test` or `x` in an NPZ file."""
        try:
            array = self._array(path)
        except DataError:
            raise
        except (OSError, ValueError, EOFError) as error:
            raise DataError(reason_of(error)) from error
        for row, values in enumerate(array):
            yield Example(f"{path}:{row}", {self.name: values})

    def _array(self, path: Path) -> NDArray[Any]:
        loaded: Any = np.load(existing(path), allow_pickle=False)
        if not isinstance(loaded, np.ndarray):
            with loaded as file:
                keys = [key for key in _KEYS if key in file]
                if not keys:
                    raise DataError(f"{path} has no array {' or '.join(_KEYS)}.")
                loaded = file[keys[0]]
        size = int(np.prod(self.shape))
        if loaded.ndim == 0 or loaded.size != len(loaded) * size:
            raise DataError(
                f"Examples must have the shape {self.shape}, but {path} has "
                f"{loaded.shape[1:]}."
            )
        return np.asarray(loaded).reshape(len(loaded), *self.shape)
