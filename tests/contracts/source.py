"""What every data source promises, as checks to run over a table of sources."""

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kscale.data.dataset import Dataset
from kscale.data.loading import load_dataset, peek_task
from kscale.data.parts import PartName

Check = Callable[["Checked"], None]

_LOAD = "from kscale.data.loading import load_dataset; import sys; "
_PRINT = "print(load_dataset(sys.argv[1]).fingerprint)"


class Checked:
    """A source under test.

    Args:
        source: Name or path, so that another process can load it too.
        x: All its raw inputs, of all parts, `(examples, ...)`.
        cut: Parts that the source does not have itself.
    """

    def __init__(
        self,
        source: str,
        x: NDArray[Any],
        cut: tuple[PartName, ...] = ("validation", "test"),
    ) -> None:
        self.source = source
        self.cut = cut
        self.data: Dataset = load_dataset(source)
        self.input = self.data.task.inputs[0]
        self.x = x

    def encoded(self) -> NDArray[Any]:
        """The raw inputs as the network takes them."""
        preprocessing = self.data.preprocessing[self.input.name]
        (raw,) = preprocessing.raw_inputs
        return preprocessing.apply({raw.name: self.x.reshape(-1, *raw.shape)})

    def together(self) -> NDArray[Any]:
        """The network's inputs of all parts."""
        arrays = [part.inputs[self.input.name] for part in self.data.parts.values()]
        return np.concatenate(arrays)


def _sorted_rows(array: NDArray[Any]) -> list[bytes]:
    return sorted(row.tobytes() for row in np.ascontiguousarray(array))


def check_parts_agree_with_task(checked: Checked) -> None:
    data = checked.data
    assert data.task == peek_task(checked.source)
    for part in data.parts.values():
        assert len(part) > 0
        for item in data.task.inputs:
            array = part.inputs[item.name]
            assert array.shape == (len(part), *item.shape)
            assert array.dtype == item.dtype
            assert np.isfinite(array).all()


def check_labels_are_in_range(checked: Checked) -> None:
    for target in checked.data.task.targets:
        for part in checked.data.parts.values():
            labels = part.targets[target.name]
            if target.kind == "real":
                assert labels.shape == (len(part), target.outputs)
                assert labels.dtype == np.float32 and np.isfinite(labels).all()
                continue
            assert labels.shape == (len(part),) and labels.dtype == np.int32
            assert labels.min() >= 0 and labels.max() < target.outputs
        if target.kind == "classes":
            train = checked.data.train.targets[target.name]
            assert set(train) == set(range(target.outputs))
            assert len(target.class_names) == target.outputs


def check_each_example_is_in_exactly_one_part(checked: Checked) -> None:
    together = checked.together()
    assert len(together) == len(checked.x)
    assert _sorted_rows(together) == _sorted_rows(checked.encoded())


def check_cut_parts_have_the_same_share_of_each_class(checked: Checked) -> None:
    target = checked.data.task.targets[0]
    if target.kind == "real":
        return
    labels = {
        name: part.targets[target.name]
        for name, part in checked.data.parts.items()
        if name == "train" or name in checked.cut
    }
    everything = np.concatenate(list(labels.values()))
    counts = np.bincount(everything, minlength=target.outputs)
    for name in checked.cut:
        share = len(labels[name]) / len(everything)
        found = np.bincount(labels[name], minlength=target.outputs)
        assert (np.abs(found - counts * share) <= 1).all()


def check_scaling_is_fitted_on_the_training_part(checked: Checked) -> None:
    for item in checked.data.task.inputs:
        train = checked.data.train.inputs[item.name][:]
        if item.kind == "tokens":
            assert item.name not in checked.data.input_scaling
            continue
        scaling = checked.data.input_scaling.get(item.name)
        assert scaling is None or len(scaling.scale) == item.shape[-1]
        rows = train.reshape(-1, item.shape[-1]).astype(np.float64)
        np.testing.assert_allclose(rows.mean(axis=0), 0, atol=1e-4)
        varies = rows.min(axis=0) < rows.max(axis=0)
        np.testing.assert_allclose(rows.std(axis=0)[varies], 1, atol=1e-4)


def check_inverse_scaling_recovers_raw_values(checked: Checked) -> None:
    scaling = checked.data.input_scaling.get(checked.input.name)
    if scaling is None:
        return
    raw = checked.x.astype(np.float32).reshape(-1, *checked.input.shape)
    spread = 1 / np.abs(scaling.scale)
    error = np.abs(scaling.invert(scaling.apply(raw)) - raw)
    assert (error <= 1e-5 * (np.abs(raw) + spread)).all()


def check_target_scaling_is_fitted_on_the_training_part(checked: Checked) -> None:
    for target in checked.data.task.targets:
        if target.kind == "classes":
            assert target.name not in checked.data.target_scaling
            continue
        scaling = checked.data.target_scaling[target.name]
        values = checked.data.train.targets[target.name].astype(np.float64)
        np.testing.assert_allclose(scaling.offset, values.mean(axis=0), rtol=1e-6)
        np.testing.assert_allclose(scaling.scale, values.std(axis=0), rtol=1e-6)


def check_another_process_gives_the_same_parts(checked: Checked) -> None:
    """The fingerprint is over all examples, labels and parts, in their order."""
    command = [sys.executable, "-c", _LOAD + _PRINT, checked.source]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == checked.data.fingerprint


CHECKS: list[Check] = [
    check_parts_agree_with_task,
    check_labels_are_in_range,
    check_each_example_is_in_exactly_one_part,
    check_cut_parts_have_the_same_share_of_each_class,
    check_scaling_is_fitted_on_the_training_part,
    check_inverse_scaling_recovers_raw_values,
    check_target_scaling_is_fitted_on_the_training_part,
    check_another_process_gives_the_same_parts,
]
