"""Inputs of arrays: which kind an array is, and the array as a model takes it."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from numpy.typing import NDArray

from kscale.data.example_rows import FileRows, MadeRows, chunks_of, lazy_rows
from kscale.data.parts import PartName
from kscale.data.preprocessing.base import Fit
from kscale.data.preprocessing.scaled import ScaledFit
from kscale.data.raw import RawArray, RawData, to_float32
from kscale.data.sources.arrays import ArrayReader
from kscale.errors import DataError
from kscale.task.tasks import INPUT_RANKS, Input, InputKind

_SIDES: dict[InputKind, str] = {
    "vector": "(examples, features)",
    "image": "(examples, height, width, channels)",
    "tokens": "(examples, length)",
    "sequence": "(examples, length, features)",
    "spectrogram": "(examples, frames, bands)",
}
_MOST_IDS = 2**31 - 1  # the network reads int32


def input_of(
    name: str,
    arrays: Sequence[RawArray],
    kind: InputKind | None = None,
    vocabulary: int | None = None,
) -> Input:
    """The input that arrays hold, one a part, the training part first.

    Without a kind, four dimensions, or three, are images; two of whole numbers wider
    than a byte, none negative, are token ids; other two are vectors. Only then, and for
    the vocabulary, is an array read. Without a vocabulary the number of token ids is 1
    above the largest in any part.
    """
    first = arrays[0]
    for array in arrays:
        _check(array, first)
    if kind is None:
        kind = _kind_of(arrays, vocabulary)
    shape = _shape_of(first, kind)
    if kind == "tokens":
        return Input(name, kind, shape, _vocabulary_of(arrays, vocabulary))
    if vocabulary is not None:
        raise DataError(
            f"`vocabulary` is for token ids, but {first.label} holds inputs of kind "
            f"{kind}; leave it out or add kind='tokens'."
        )
    return Input(name, kind, shape)


def _check(array: RawArray, first: RawArray) -> None:
    """Refuse an array that holds no numbers, or others than the first one."""
    if array.dtype.kind not in "buif":
        raise DataError(
            f"{array.label} must hold whole or real numbers, but its type is "
            f"{array.dtype.name}."
        )
    if array.shape[1:] != first.shape[1:]:
        raise DataError(
            f"Examples of {first.label} and {array.label} must have one shape, but got "
            f"{first.shape[1:]} and {array.shape[1:]}."
        )
    if (array.dtype.kind == "f") != (first.dtype.kind == "f"):
        raise DataError(
            f"{first.label} and {array.label} must be on one scale, but their types "
            f"are {first.dtype.name} and {array.dtype.name}."
        )


def _kind_of(arrays: Sequence[RawArray], vocabulary: int | None) -> InputKind:
    rank, dtype = len(arrays[0].shape), arrays[0].dtype
    if rank > 4:
        raise DataError(
            f"{arrays[0].label} must have at most 4 dimensions, (examples, height, "
            f"width, channels), but its shape is {arrays[0].shape}."
        )
    if rank > 2:
        return "image"
    if rank == 1 or dtype.kind not in "ui":
        return "vector"
    if vocabulary is not None:
        return "tokens"
    is_wide = dtype.itemsize > 1
    return "tokens" if is_wide and _range_of(arrays)[0] >= 0 else "vector"


def _range_of(arrays: Sequence[RawArray]) -> tuple[int, int]:
    """The least and the largest number, one array or piece in memory at a time."""
    pieces = (numbers for array in arrays for numbers in chunks_of(array.rows))
    ends = [(int(numbers.min()), int(numbers.max())) for numbers in pieces]
    return min(least for least, _ in ends), max(largest for _, largest in ends)


def _shape_of(array: RawArray, kind: InputKind) -> tuple[int, ...]:
    """Shape of one example; a last axis of one is added but for tokens."""
    shape = array.shape[1:]
    if kind != "tokens" and len(shape) == INPUT_RANKS[kind] - 1:
        shape = (*shape, 1)
    if len(shape) != INPUT_RANKS[kind]:
        raise DataError(
            f"Inputs of kind {kind} have the shape {_SIDES[kind]}, but "
            f"{array.label} has {array.shape}."
        )
    return shape


def _vocabulary_of(arrays: Sequence[RawArray], vocabulary: int | None) -> int:
    for array in arrays:
        if array.dtype.kind not in "ui":
            raise DataError(
                f"Token ids must be whole numbers, but {array.label} is of type "
                f"{array.dtype.name}."
            )
    least, largest = _range_of(arrays)
    if least < 0:
        raise DataError(
            f"Token ids must not be negative, but {arrays[0].label} has {least}."
        )
    if largest >= _MOST_IDS:
        raise DataError(
            f"Token ids must be below {_MOST_IDS:,}, but {arrays[0].label} has "
            f"{largest:,}."
        )
    if vocabulary is not None and vocabulary <= largest:
        raise DataError(
            f"`vocabulary > {largest:,}`, the largest token id of {arrays[0].label}, "
            f"must hold, but got vocabulary={vocabulary:,}."
        )
    return largest + 1 if vocabulary is None else vocabulary


def as_raw_input(item: Input, array: RawArray, are_bytes: bool) -> RawArray:
    """An array as the model that ships takes it: int32 ids, else float32, or bytes
    where the arrays of all parts hold bytes, or true and false."""
    dtype = "int32" if item.kind == "tokens" else "uint8" if are_bytes else "float32"

    def converted(numbers: NDArray[Any]) -> NDArray[Any]:
        if dtype == "float32":
            numbers = to_float32(array.label, numbers)
        return numbers.astype(dtype, copy=False).reshape(-1, *item.shape)

    shape = (len(array), *item.shape)
    rows = lazy_rows(lambda: converted(array.rows[:]), shape, dtype)
    if array.is_slow or isinstance(array.rows, FileRows):
        rows = MadeRows(lambda these: converted(array.rows[these]), shape, dtype)
    return replace(array, rows=rows)


def with_fits(raw: RawData, kind: InputKind | None, vocabulary: int | None) -> RawData:
    """Raw data with a fit for each array, where the source gives no fits."""
    if raw.fits:
        return raw
    fits: list[Fit] = []
    inputs: dict[PartName, dict[str, RawArray]] = {part: {} for part in raw.parts}
    for name in raw.parts["train"].inputs:
        arrays = [part.inputs[name] for part in raw.parts.values()]
        item = input_of(name or "x", arrays, kind, vocabulary)
        fits.append(ScaledFit(item))
        are_bytes = all(array.dtype in ("uint8", "bool") for array in arrays)
        for part, array in zip(raw.parts, arrays, strict=True):
            inputs[part][item.name] = as_raw_input(item, array, are_bytes)
    parts = {p: replace(raw.parts[p], inputs=inputs[p]) for p in raw.parts}
    reader = raw.reader
    if reader is None and len(fits) == 1:
        reader = ArrayReader(item.name, item.shape)
    return replace(raw, parts=parts, fits=fits, reader=reader)
