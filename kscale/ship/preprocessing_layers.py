"""A preprocessing as stock Keras layers, for the model that is shipped."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from kscale.data.preprocessing.base import Preprocessing
from kscale.data.preprocessing.log_mel import HEARD, LOWEST_HERTZ, LogMel
from kscale.data.preprocessing.scaled import Averaged, Scaled, Scaling, Unchanged
from kscale.data.preprocessing.table_columns import Category, TableColumns
from kscale.data.preprocessing.text_tokens import TextTokens

Tensors = Mapping[str, Any]

_NEVER_REACHED = 1e3  # dB; float32 holds a range of 760


def apply_layers(preprocessing: Preprocessing, raw: Tensors, name: str) -> Any:
    """An input of the network from raw inputs by name, as Keras tensors.

    The names of the layers begin with `name`.
    """
    return LAYERS[type(preprocessing)](preprocessing, raw, name)


def rescaled(tensor: Any, scaling: Scaling, name: str) -> Any:
    """A tensor after `keras.layers.Rescaling`."""
    scale, offset = (
        values[0] if len(values) == 1 else list(values)
        for values in (scaling.scale, scaling.offset)
    )
    return keras.layers.Rescaling(scale, offset, name=name)(tensor)


def _scaled(item: Scaled, raw: Tensors, name: str) -> Any:
    return rescaled(raw[item.raw.name], item.scaling, f"{name}_scaling")


def _averaged(item: Averaged, raw: Tensors, name: str) -> Any:
    columns, rows = item.matrices
    scaled = rescaled(raw[item.raw.name], item.scaling, f"{name}_scaling")
    turned = keras.layers.Permute((3, 1, 2), name=f"{name}_across")(scaled)
    narrow = keras.ops.matmul(turned, columns)
    turned = keras.layers.Permute((1, 3, 2), name=f"{name}_down")(narrow)
    low = keras.ops.matmul(turned, rows)
    return keras.layers.Permute((3, 2, 1), name=f"{name}_smaller")(low)


def _log_mel(item: LogMel, raw: Tensors, name: str) -> Any:
    wave = raw[item.raw.name]
    if item.heard < item.raw.shape[0]:
        wave = wave[:, : item.heard]
    spectrum = keras.layers.MelSpectrogram(
        fft_length=item.fft_length,
        sequence_stride=item.step,
        sequence_length=item.window,
        sampling_rate=item.rate,
        num_mel_bins=item.bands,
        min_freq=LOWEST_HERTZ,
        max_freq=item.rate / 2,
        min_power=item.least_power,
        ref_power=item.least_power,
        top_db=_NEVER_REACHED,
        dtype="float32",
        name=f"{name}_log_mel",
    )(wave)
    frames = keras.layers.Permute((2, 1), name=f"{name}_turned")(spectrum)
    scaled = rescaled(frames, item.scaling, f"{name}_scaling")
    if not item.is_padded:
        return scaled
    is_heard = keras.ops.any(frames > HEARD, axis=-1, keepdims=True)
    backwards = keras.ops.cast(keras.ops.flip(is_heard, axis=1), "int32")
    later = keras.ops.flip(keras.ops.cumsum(backwards, axis=1), axis=1)
    return keras.ops.where(later > 0, scaled, 0.0)


def _text(item: TextTokens, raw: Tensors, name: str) -> Any:
    text = raw[item.names[0]]
    for other in item.names[1:]:
        text = keras.ops.add(keras.ops.add(text, " "), raw[other])
    ids = keras.layers.TextVectorization(
        standardize="lower_and_strip_punctuation",
        split="character" if item.by_characters else "whitespace",
        output_sequence_length=item.length,
        vocabulary=list(item.words),
        name=f"{name}.words",
    )
    return keras.ops.cast(ids(text), "int32")


def _columns(item: TableColumns, raw: Tensors, name: str) -> Any:
    parts = [
        _one_hot(raw[each.name], each, f"{name}.{each.name}")
        for each in item.categories
    ]
    if item.numbers:
        parts = [*_numbers(item, raw, f"{name}.numbers"), *parts]
    if len(parts) == 1:
        return parts[0]
    return keras.layers.Concatenate(name=f"{name}.together")(parts)


def _numbers(item: TableColumns, raw: Tensors, name: str) -> list[Any]:
    """All numbers scaled, and where some of them are missing."""
    numbers = keras.ops.stack([raw[each.name] for each in item.numbers], axis=1)
    is_blank = keras.ops.isnan(numbers)
    units = np.array([each.unit for each in item.numbers], np.float32)
    curved = numbers
    if units.any():
        sizes = keras.ops.abs(numbers) / np.where(units > 0, units, np.float32(1))
        logs = keras.ops.sign(numbers) * keras.ops.log1p(sizes)
        curved = keras.ops.where(units > 0, logs, numbers)
    scaled = rescaled(curved, item.scaling, name)
    known = keras.ops.where(is_blank, 0.0, scaled)
    if not item.telling:
        return [known]
    blanks = keras.ops.take(is_blank, list(item.telling), axis=1)
    return [known, keras.ops.cast(blanks, "float32")]


def _one_hot(words: Any, item: Category, name: str) -> Any:
    found = keras.layers.StringLookup(
        vocabulary=list(item.values),
        oov_token=_word_for_unknown(item.values),
        output_mode="one_hot",
        name=name,
    )(words)
    known = found if item.has_others else found[:, 1:]
    return keras.ops.cast(known, "float32")


def _word_for_unknown(words: Sequence[str]) -> str:
    """A word for unknown words that is no word of the column.

    Keras gives the place of unknown words to a first word that equals it, and compares
    as NumPy does, for which "" and "\\0" are the same.
    """
    other = "[UNK]"
    while other in words:
        other += "]"
    return other


LAYERS: dict[type[Preprocessing], Callable[[Any, Tensors, str], Any]] = {
    Averaged: _averaged,
    LogMel: _log_mel,
    Scaled: _scaled,
    Unchanged: lambda item, raw, name: raw[item.raw.name],
    TableColumns: _columns,
    TextTokens: _text,
}
