"""Grids of networks that kscale trains itself, and the data they are trained on."""

import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kscale import find_family, load_dataset
from kscale.data.dataset import Dataset
from kscale.data.parts import PART_NAMES
from kscale.engine.base import Network
from kscale.engine.family_network import family_network
from kscale.engine.recipe import Recipe

SEEDS = (1, 1_000_001, 2_000_001)
"""Seeds of the trainings of a network."""

_DIGITS = (900, 600, 297)  # examples of the parts
_SPOKEN = (1500, 1100, 400)
_MNIST = (2000, 2000, 5000)
_ADULT_FEW = (300, 3000, 4000)
_CUT_SEED = 0
_FRAMES, _BANDS = 4, 2  # of a spectrogram, that are averaged


@dataclass(frozen=True)
class Grid:
    """Networks of a family on a data set: depth x width x learning rate x seed.

    Args:
        name: Name of the table.
        family: Name of the family; knobs but depth and width are the usual ones.
        depths, widths, rates: The axes.
        data: The data set, given the folder of the files and one for what is unpacked.
        epochs: Epochs of a training; None for those of kscale's recipe.
        seeds: Seeds of the trainings of a network.
    """

    name: str
    family: str
    depths: tuple[int, ...]
    widths: tuple[int, ...]
    rates: tuple[float, ...]
    data: Callable[[Path, Path], Dataset]
    epochs: int | None = None
    seeds: tuple[int, ...] = SEEDS

    def recipe(self, dataset: Dataset) -> Recipe:
        """Batches and epochs of all trainings."""
        return Recipe.for_examples(len(dataset.train), self.epochs)

    def network(self, dataset: Dataset, depth: int, width: int) -> Network:
        """The network of a size, for the engine."""
        spec = find_family(self.family).spec(depth=depth, width=width)
        return family_network(spec, dataset.task)

    def sizes(self) -> Iterator[tuple[int, int]]:
        """Depth and width of all networks."""
        return ((depth, width) for depth in self.depths for width in self.widths)

    def shape(self) -> tuple[int, ...]:
        """Numbers of depths, widths, rates and seeds."""
        axes = (self.depths, self.widths, self.rates, self.seeds)
        return tuple(map(len, axes))


def digits(_data: Path, _unpacked: Path) -> Dataset:
    """The embedded digits, 8x8, cut anew: a third for validation, for fewer ties."""
    images, labels = _joined(load_dataset("digits"))
    order = np.random.default_rng(_CUT_SEED).permutation(len(images))
    cut = _cut(images[order], labels[order], _DIGITS)
    return load_dataset(cut, name="digits", kind="image")


def adult(data: Path, _unpacked: Path) -> Dataset:
    """Adult's training file; validation and test part are cut from the file."""
    return load_dataset(data / "adult_train.csv.gz", label="income")


def adult_few(data: Path, unpacked: Path) -> Dataset:
    """Adult, but 300 rows to train on; each part is drawn from Adult's own."""
    whole, arrays = adult(data, unpacked), {}
    rng = np.random.default_rng(_CUT_SEED)
    for name, count in zip(PART_NAMES, _ADULT_FEW, strict=True):
        (inputs,) = whole.parts[name].inputs.values()
        (labels,) = whole.parts[name].targets.values()
        rows = rng.permutation(len(inputs))[:count]
        arrays |= {f"x_{name}": inputs[rows], f"y_{name}": labels[rows]}
    return load_dataset(arrays, name="adult_few", kind="vector")


def mnist14(data: Path, _unpacked: Path) -> Dataset:
    """The first training images of MNIST; each 2x2 pixels are averaged."""
    with np.load(data / "mnist.npz") as file:
        images, labels = file["x_train"], file["y_train"]
    images = images.reshape(-1, 14, 2, 14, 2).mean((2, 4)).astype(np.float32)
    cut = _cut(images[..., None], labels, _MNIST)
    return load_dataset(cut, name="mnist14", kind="image")


def spoken_digits(data: Path, unpacked: Path) -> Dataset:
    """Spoken digits as 17 steps of 20 bands: 4 frames and 2 bands are averaged."""
    folder = unpacked / "spoken_digits"
    if not folder.exists():
        with zipfile.ZipFile(data / "spoken_digits.zip") as archive:
            archive.extractall(unpacked)
    parts = load_dataset(folder).parts.values()
    sounds = np.concatenate(
        [np.asarray(next(iter(p.inputs.values()))[:]) for p in parts]
    )
    labels = np.concatenate([next(iter(p.targets.values())) for p in parts])
    shape = (len(sounds), -1, _FRAMES, sounds.shape[2] // _BANDS, _BANDS)
    order = np.random.default_rng(_CUT_SEED).permutation(len(sounds))
    cut = _cut(sounds.reshape(shape).mean((2, 4))[order], labels[order], _SPOKEN)
    return load_dataset(cut, name="spoken_digits", kind="sequence")


def _joined(dataset: Dataset) -> tuple[Any, Any]:
    """Inputs and labels of all parts."""
    parts = dataset.parts.values()
    inputs = [np.asarray(next(iter(part.inputs.values()))[:]) for part in parts]
    labels = [next(iter(part.targets.values())) for part in parts]
    return np.concatenate(inputs), np.concatenate(labels)


def _cut(inputs: Any, labels: Any, counts: tuple[int, ...]) -> dict[str, Any]:
    """Parts of so many examples, one after the other."""
    arrays, first = {}, 0
    for name, count in zip(PART_NAMES, counts, strict=True):
        rows = slice(first, first + count)
        arrays |= {f"x_{name}": inputs[rows], f"y_{name}": labels[rows]}
        first += count
    return arrays


_MLP_RATES = (5e-4, 3e-3, 2e-2)
_MLP_WIDTHS = (4, 8, 16, 32, 64, 128, 256)

GRIDS = {
    grid.name: grid
    for grid in (
        Grid("digits_mlp", "mlp", (1, 2, 3, 4, 6), _MLP_WIDTHS, _MLP_RATES, digits),
        Grid(
            "adult_few_mlp",
            "mlp",
            (1, 2, 4),
            (2, 4, 8, 16, 32, 64, 128),
            (1e-3, 4e-3, 1.6e-2),
            adult_few,
            60,
        ),
        Grid(
            "spoken_digits_rnn",
            "rnn",
            (1, 2, 3),
            (2, 4, 8, 16, 32),
            (1e-3, 3e-3, 1e-2),
            spoken_digits,
            9,
        ),
        Grid("adult_mlp", "mlp", (1, 2, 3, 4), _MLP_WIDTHS[:-1], _MLP_RATES, adult),
        Grid(
            "mnist14_cnn",
            "cnn",
            (1, 2, 3, 4, 6),
            (2, 4, 8, 16),
            (1e-3, 3e-3, 1e-2),
            mnist14,
            9,
        ),
    )
}
"""By name, the grids whose tables are kept beside this file."""
