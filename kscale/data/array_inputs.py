"""Inputs of arrays: which kind an array is, and the array as a model takes it."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kscale.data.example_rows import TEXT, FileRows, MadeRows, chunks_of, lazy_rows
from kscale.data.examples import Reader
from kscale.data.load_options import Options
from kscale.data.parts import PartName
from kscale.data.preprocessing.base import Fit
from kscale.data.preprocessing.scaled import ScaledFit
from kscale.data.preprocessing.text_tokens import TextFit
from kscale.data.raw import RawArray, RawData, to_float32
from kscale.data.readers.table_files import TableColumn, TextReader
from kscale.data.sources.arrays import ArrayReader, range_of
from kscale.errors import DataError
from kscale.task.tasks import INPUT_RANKS, Input, InputKind
from kscale.text import counted

_SIDES: dict[InputKind, str] = {
    "vector": "(examples, features)",
    "image": "(examples, height, width, channels)",
    "tokens": "(examples, length)",
    "sequence": "(examples, length, features)",
    "spectrogram": "(examples, frames, bands)",
}
_MOST_IDS = 2**31 - 1  # the network reads int32
_COLOURS = 4  # channels of most images, with transparency
_MOST_UNLIKE = 4  # times as long one side of most images is as the other
_MOST_COLUMNS = 64  # of a table; longer rows are texts, at whose end few have ids
_UNLIKE_IDS = 10
_LEAST_PLANE = 16  # pixels a side of images with more channels


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
    kind = kind or _kind_of(arrays, vocabulary)
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
            f"{array.label} must hold whole or real numbers, but it holds "
            f"{'text' if array.dtype.kind in 'UST' else array.dtype.name}."
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
            f"width, channels), but its shape is {arrays[0].shape}. Of a video give "
            "single frames, or the frames as channels."
        )
    if rank > 2:
        return "image"
    if rank == 1 or dtype.kind not in "ui":
        return "vector"
    is_wide = dtype.itemsize > 1
    if vocabulary is not None or is_wide and range_of(_pieces_of(arrays))[0] >= 0:
        return "tokens"
    return "vector"


def _pieces_of(arrays: Sequence[RawArray]) -> Iterator[NDArray[Any]]:
    return (piece for array in arrays for piece in chunks_of(array.rows))


def channels_first(shape: tuple[int, ...]) -> bool | None:
    """Whether an image of three sides has its channels first; None if that is unclear.

    Example:

    >>> [channels_first(sides) for sides in ((1, 28, 28), (28, 28, 3), (3, 28, 3))]
    [True, False, None]
    """
    if len(shape) != 3:
        return False
    first, rows, last = shape
    if last <= _COLOURS:
        return None if 1 < first <= _COLOURS < rows else False
    if first >= min(rows, last):
        return False
    if first <= _COLOURS:
        return True if max(rows, last) <= _MOST_UNLIKE * min(rows, last) else None
    return rows == last >= _LEAST_PLANE


def _axes_warnings(label: str, shape: tuple[int, ...]) -> Iterator[str]:
    """What was understood of the axes of an image, unless channels are clearly last."""
    is_first = channels_first(shape)
    if is_first is False:
        return
    rows, columns, channels = (*shape[1:], shape[0]) if is_first else shape
    what = counted(channels, "channel")
    end = "if channels come first, give np.moveaxis(x, 1, -1)"
    yield (
        f"{label} {shape} is read as images of {rows} x {columns} (height x width) "
        f"with {what}: {'channels come first' if is_first else end}."
    )


def _id_warnings(array: RawArray) -> Iterator[str]:
    """A sentence for whole numbers whose columns are too unlike to be ids."""
    tops = np.max([numbers.max(axis=0) for numbers in chunks_of(array.rows)], axis=0)
    high = int(tops.max())
    low = int(tops[tops > 0].min(initial=high))
    if len(tops) <= _MOST_COLUMNS and high > _UNLIKE_IDS * low:
        yield (
            f"{array.label} is read as token ids, but some columns go to {low:,} and "
            f"others to {high:,}: if they are quantities, say kind=vector (--kind "
            "vector)."
        )


def _shape_of(array: RawArray, kind: InputKind) -> tuple[int, ...]:
    """Shape of one example; a last axis of one is added but for tokens."""
    shape = array.shape[1:]
    if kind == "image" and channels_first(shape):
        shape = (*shape[1:], shape[0])
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
    least, largest = range_of(_pieces_of(arrays))
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
    """An array in the type that the shipped model takes: int32 for ids, uint8 where all
    parts hold bytes or true and false, otherwise float32."""
    dtype = "int32" if item.kind == "tokens" else "uint8" if are_bytes else "float32"

    def converted(numbers: NDArray[Any]) -> NDArray[Any]:
        if dtype == "float32":
            numbers = to_float32(array.label, numbers)
        if item.kind == "image" and channels_first(numbers.shape[1:]):
            numbers = np.moveaxis(numbers, 1, -1)
        return numbers.astype(dtype, copy=False).reshape(-1, *item.shape)

    shape = (len(array), *item.shape)
    rows = lazy_rows(lambda: converted(array.rows[:]), shape, dtype)
    if array.is_slow or isinstance(array.rows, FileRows):
        rows = MadeRows(lambda these: converted(array.rows[these]), shape, dtype)
    return replace(array, rows=rows)


def with_fits(raw: RawData, options: Options) -> RawData:
    """Raw data with a fit for each array, where the source gives no fits."""
    if raw.fits:
        return raw
    fits: list[Fit] = []
    warnings = [*raw.warnings]
    reader: Reader
    inputs: dict[PartName, dict[str, RawArray]] = {part: {} for part in raw.parts}
    for name in raw.parts["train"].inputs:
        arrays = [part.inputs[name] for part in raw.parts.values()]
        if all(array.dtype.kind in "UST" for array in arrays):
            name = name or "text"
            fit, made = _of_texts(name, arrays, options)
            reader = TextReader((TableColumn(name, name, "text"),))
        else:
            item = input_of(name or "x", arrays, options.kind, options.vocabulary)
            are_bytes = all(array.dtype in ("uint8", "bool") for array in arrays)
            name, fit = item.name, ScaledFit(item)
            made = [as_raw_input(item, array, are_bytes) for array in arrays]
            reader = ArrayReader(name, item.shape)
            if item.kind == "image":
                warnings += _axes_warnings(arrays[0].label, arrays[0].shape[1:])
            if item.kind == "tokens" and not (options.kind or options.vocabulary):
                warnings += _id_warnings(arrays[0])
        fits.append(fit)
        for part, array in zip(raw.parts, made, strict=True):
            inputs[part][name] = array
    if not any(isinstance(fit, TextFit) for fit in fits):
        options.refuse_except("arrays without text", "kind", "vocabulary")
    parts = {p: replace(raw.parts[p], inputs=inputs[p]) for p in raw.parts}
    alone = reader if len(fits) == 1 else None
    raw = replace(raw, parts=parts, fits=fits, reader=raw.reader or alone)
    return replace(raw, warnings=tuple(warnings))


def _of_texts(
    name: str, arrays: Sequence[RawArray], options: Options
) -> tuple[Fit, list[RawArray]]:
    """How one text an example becomes ids, and arrays of these texts."""
    label, shape = arrays[0].label, arrays[0].shape
    if len(shape) > 2 or shape[1:] not in ((), (1,)):
        raise DataError(
            f"{label} must hold numbers, or one text an example, but it holds texts of "
            f"the shape {shape}. Join them, or give a dict of arrays, one a text."
        )
    if options.kind not in (None, "tokens"):
        raise DataError(
            f"{label} holds texts, which are read as tokens, and not as "
            f"{options.kind}; leave out `kind`."
        )

    def texts_of(array: RawArray) -> RawArray:
        def read() -> NDArray[Any]:
            texts = array.rows[:].reshape(-1)
            if texts.dtype.kind == "S":
                texts = np.char.decode(texts, "utf-8", "replace")
            return np.asarray(texts.astype(TEXT))

        return replace(array, rows=lazy_rows(read, array.shape[:1], TEXT))

    fit = TextFit.of((name,), options, name)
    return fit, [texts_of(array) for array in arrays]
