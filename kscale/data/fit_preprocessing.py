"""From raw arrays to an input of the network: what is known at once, what is fitted."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from kscale.data.kinds import as_raw_input, input_of
from kscale.data.parts import PartName
from kscale.data.preprocessing import Preprocessing, RawInput
from kscale.data.preprocessing.scaled import Scaled, Unchanged
from kscale.data.raw import RawArray, RawParts
from kscale.data.readers import ArrayReader, Reader
from kscale.data.rows import Rows
from kscale.data.standardizing import fit_input_scaling
from kscale.task.tasks import Input, InputKind


class Fit(Protocol):
    """How one input of the network is made from raw inputs.

    Args:
        raw: Names of the raw arrays that are read.
    """

    @property
    def raw(self) -> tuple[str, ...]: ...

    def known_input(self) -> Input | None:
        """The input, if it is known without the training part."""

    def fit(self, train: Mapping[str, Rows]) -> tuple[Input, Preprocessing]:
        """The input and its preprocessing, fitted on the raw training part by name.

        Raises:
            DataError: There is nothing to learn from.
        """


@dataclass(frozen=True)
class ScaledFit:
    """Numbers of a known shape, standardized; or token ids as they are."""

    input: Input

    @property
    def raw(self) -> tuple[str, ...]:
        """The one array of the input's name."""
        return (self.input.name,)

    def known_input(self) -> Input:
        """The input as it was given."""
        return self.input

    def fit(self, train: Mapping[str, Rows]) -> tuple[Input, Preprocessing]:
        """Mean 0 and standard deviation 1, a feature (last axis) at a time."""
        item = self.input
        if item.kind == "tokens":
            return item, Unchanged(RawInput(item.name, item.shape, "int32"))
        scaling = fit_input_scaling(train[item.name])
        fitted = replace(item, scale=scaling.scale, offset=scaling.offset)
        return fitted, Scaled(RawInput(item.name, item.shape), scaling)


@dataclass(frozen=True, eq=False)
class RawData:
    """What a source found: raw arrays by part, and how a network reads them.

    Args:
        parts: Raw inputs and labels of each part that the source has.
        fits: By name of a network's input; without any, each array is an input.
        reader: Reads such files again for predictions.
        class_names: By target name, what the classes 0, 1, ... are called where labels
            are numbers.
        groups: By part, a key an example, `(examples,)`: equal keys stay in one part.
        warnings: One sentence each, for the user.
        notes: What was understood, one sentence each, for `kscale data`.
    """

    parts: RawParts
    fits: Mapping[str, Fit] = field(default_factory=dict)
    reader: Reader | None = None
    class_names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    groups: Mapping[PartName, RawArray] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def with_fits(raw: RawData, kind: InputKind | None, vocabulary: int | None) -> RawData:
    """Raw data whose arrays have been understood, where the source did not do it.

    Raises:
        DataError: Arrays are of no known form, or do not go together.
    """
    if raw.fits:
        return raw
    fits: dict[str, Fit] = {}
    inputs: dict[PartName, dict[str, RawArray]] = {part: {} for part in raw.parts}
    for name in raw.parts["train"].inputs:
        arrays = [part.inputs[name] for part in raw.parts.values()]
        # Texts (`dtype.kind == "T"`) come here as soon as a fit reads them.
        item = input_of(name or "x", arrays, kind, vocabulary)
        fits[item.name] = ScaledFit(item)
        are_bytes = all(array.dtype in ("uint8", "bool") for array in arrays)
        for part, array in zip(raw.parts, arrays, strict=True):
            inputs[part][item.name] = as_raw_input(item, array, are_bytes)
    parts = {p: replace(raw.parts[p], inputs=inputs[p]) for p in raw.parts}
    reader = raw.reader
    if reader is None and len(fits) == 1:
        (name,) = fits
        known = fits[name].known_input()
        reader = ArrayReader(name, known.shape if known else ())
    return replace(raw, parts=parts, fits=fits, reader=reader)
