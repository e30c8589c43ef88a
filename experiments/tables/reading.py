"""Tables of trained networks, read as search problems that need no training.

A table holds what trainings have reached for every network of a small space: other
people's, whose files and rules of scoring stand in the README beside the files, or
kscale's own (`experiments/ground_truth.py`). A file is recognised by its arrays, not by
its name.
"""

import gzip
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from kscale.networks.families.base import Spec

Values = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class TableTask:
    """One data set of a table.

    Args:
        name: Name of the data set.
        specs: Distinct networks with what else is searched but the learning rate.
        learning_rates: The learning rate of each; 0 where none is searched.
        params: Parameters of each.
        work: What an example costs each, in any unit.
        curves: Scores that a search sees, `(seeds, specs, epochs)`; one epoch where the
            table has no curves.
        truth: What a pick is worth, `(specs,)`.
        higher_is_better: Direction of both.
        seconds: What a training of full length took, `(seeds, specs)`; None where the
            table does not say.
    """

    name: str
    specs: tuple[Spec, ...]
    learning_rates: Values
    params: Values
    work: Values
    curves: Values
    truth: Values
    higher_is_better: bool = True
    seconds: Values | None = None

    @property
    def epochs(self) -> int:
        """Epochs of a training of full length."""
        return int(self.curves.shape[2])

    def limit(self, share: float) -> int:
        """The fewest parameters under which a share of the specs fits."""
        count = max(1, math.ceil(share * len(self.params)))
        return int(np.sort(self.params)[count - 1])


def read_table(path: Path) -> list[TableTask]:
    """The tasks of a table.

    Raises:
        OSError: There is no such file.
        ValueError: The file holds no table of a known kind.
    """
    if ".json" in path.suffixes:
        return list(_macro(path))
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (ValueError, AttributeError, BadZipFile, EOFError) as error:
        raise ValueError(f"{path.name} is no file of NumPy arrays.") from error
    for name, read in _KINDS.items():
        if name in arrays:
            return list(read(arrays))
    raise ValueError(f"{path.name} is no table of a known kind: {', '.join(arrays)}")


_LAYERS = {"0": "identity", "1": "3x3, expansion 3", "2": "5x5, expansion 6"}


def _macro(path: Path) -> Iterator[TableTask]:
    """NAS-Bench-Macro: eight layers, three seeds, no curves."""
    with gzip.open(path) as file:
        rows = json.load(file)
    specs = tuple(
        _spec(
            depth=sum(digit != "0" for digit in key),
            **{f"layer{place}": _LAYERS[digit] for place, digit in enumerate(key, 1)},
        )
        for key in rows
    )
    seen = np.array([row["test_acc"] for row in rows.values()]).T[:, :, None]
    params, flops = (
        np.array([row[name] for row in rows.values()], float)
        for name in ("params", "flops")
    )
    yield TableTask(
        path.name.split("_")[-1].split(".")[0],
        specs,
        np.zeros(len(specs)),
        params,
        flops,
        seen,
        seen.mean(axis=(0, 2)),
    )


def _lcbench(arrays: dict[str, Any]) -> Iterator[TableTask]:
    """LCBench: one network may have several names; tasks with fewer than 20 networks
    are left out."""
    rates, layers = arrays["learning_rate"], arrays["num_layers"]
    units = arrays["max_units"]
    for place, name in enumerate(arrays["names"]):
        net = arrays["net"][place].ravel()
        first = np.unique(net, return_index=True)[1]
        if len(first) < 20:
            continue
        curves = arrays["val_acc"][place].reshape(net.size, len(rates), -1)[first] / 100
        params = arrays["params"][place].ravel()[first]
        shapes = [divmod(int(each), len(units)) for each in first]
        specs = [
            _spec(depth=int(layers[layer]), width=int(units[unit]))
            for layer, unit in shapes
            for _ in rates
        ]
        flat = curves.reshape(len(specs), -1)
        every = np.repeat(params, len(rates)).astype(float)
        yield TableTask(
            str(name),
            tuple(specs),
            np.tile(rates, len(first)),
            every,
            every,
            flat[None],
            flat[:, -1],
        )


def _hpobench(arrays: dict[str, Any]) -> Iterator[TableTask]:
    """HPOBench: depth, width, learning rate and batch size; five seeds, no curves."""
    axes = [arrays[n] for n in ("depth", "width", "learning_rate", "batch_size")]
    for place, name in enumerate(arrays["dataset"]):
        grid = np.meshgrid(*axes, indexing="ij")
        depth, width, rates, batch = (each.ravel() for each in grid)
        specs = tuple(
            _spec(depth=int(d), width=int(w), batch=int(b))
            for d, w, b in zip(depth, width, batch, strict=True)
        )
        params = np.broadcast_to(
            arrays["params"][place][:, :, None, None], grid[0].shape
        )
        seen = arrays["val_bal_acc"][place].reshape(len(specs), -1).T
        seen = 100.0 * seen if seen.max() <= 1 else seen
        work = params.ravel().astype(float)
        yield TableTask(
            str(name),
            specs,
            rates,
            work,
            work,
            seen[:, :, None],
            seen.mean(axis=0),
            seconds=arrays["train_time"][place].reshape(1, -1),
        )


def _fcnet(arrays: dict[str, Any]) -> Iterator[TableTask]:
    """FCNet: two widths, learning rate, schedule and batch size, without dropout; four
    seeds, no curves. Scores are log10 of the squared error."""
    units = arrays["n_units"]
    names = ("init_lr", "lr_schedule", "batch_size")
    axes = [units, units, *(arrays[name] for name in names)]
    for place, name in enumerate(arrays["dataset"]):
        grid = np.meshgrid(*axes, indexing="ij")
        first, second, rates, schedule, batch = (each.ravel() for each in grid)
        specs = tuple(
            _spec(width=int(a), width2=int(b), schedule=str(s), batch=int(size))
            for a, b, s, size in zip(first, second, schedule, batch, strict=True)
        )
        shape = (len(units), len(units), *(1,) * (len(axes) - 2))
        params = np.broadcast_to(arrays["params"][place].reshape(shape), grid[0].shape)
        errors = arrays["val_mse"][place][..., 0, 0, :].reshape(len(specs), -1).T
        work = params.ravel().astype(float)
        yield TableTask(
            str(name),
            specs,
            rates,
            work,
            work,
            np.log10(errors)[:, :, None],
            np.log10(errors.mean(axis=0)),
            higher_is_better=False,
            seconds=arrays["train_time"][place][..., 0, 0].reshape(1, -1),
        )


def _own(arrays: dict[str, Any]) -> Iterator[TableTask]:
    """kscale's own trainings: depth, width and learning rate, with curves.

    A search sees the validation part; a pick is worth its mean on the test part.
    """
    axes = [arrays[name] for name in ("depth", "width", "learning_rate")]
    depth, width, rates = (each.ravel() for each in np.meshgrid(*axes, indexing="ij"))
    curves = 100.0 * arrays["val_right"] / arrays["examples"][1]
    seen = np.moveaxis(curves, 3, 0).reshape(curves.shape[3], len(rates), -1)
    params, work = (
        np.repeat(arrays[name].ravel(), len(axes[2])).astype(float)
        for name in ("params", "work")
    )
    yield TableTask(
        str(arrays["name"]),
        tuple(
            _spec(depth=int(d), width=int(w)) for d, w in zip(depth, width, strict=True)
        ),
        rates,
        params,
        work,
        seen,
        100.0 * arrays["test_right"].mean(axis=3).ravel() / arrays["examples"][2],
        seconds=_seconds_of(arrays),
    )


def _seconds_of(arrays: dict[str, Any]) -> Values | None:
    if "seconds" not in arrays:
        return None
    seconds: Values = np.moveaxis(arrays["seconds"], 3, 0)
    return seconds.reshape(len(seconds), -1).astype(float)


_KINDS = {
    "val_acc": _lcbench,
    "val_bal_acc": _hpobench,
    "val_mse": _fcnet,
    "val_right": _own,
}


def _spec(**knobs: int | str) -> Spec:
    return Spec("table", tuple(sorted(knobs.items())))
