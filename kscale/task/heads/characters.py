"""Characters: the transcript of a sound, by connectionist temporal classification.

A network gives logits for every frame: output 0 is the blank, 1 the space, whether or
not transcripts have one, and the characters of the alphabet follow. Labels are
`(examples, length)`, padded with 0; a character that the alphabet lacks is as large as
the number of outputs, which is no answer. Of frames that are padding a network is sure
of the blank, so that neither the loss nor the transcript depends on their number.

What is kept of an example are the nats of the loss and the likeliest answer of each
frame, `(examples, 1 + frames)`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kscale.task.heads.base import (
    Array,
    Head,
    KerasCall,
    error_metric,
    share_metric,
    table_of,
)
from kscale.task.transcripts import BLANK, collapsed, edit_distances, text_of, words_of


def _nats(arrays: Any, target: Any, labels: Any, outputs: Any) -> tuple[Any, Any]:
    """The negative logarithm of the probability of each transcript, and its length."""
    lengths = arrays.sum(arrays.cast(arrays.not_equal(labels, BLANK), "int32"), axis=-1)
    frames = arrays.zeros_like(lengths) + arrays.shape(outputs)[1]
    # What no output stands for counts as the last one.
    known = arrays.minimum(labels, target.outputs - 1)
    found = arrays.ctc_loss(known, outputs, lengths, frames, mask_index=BLANK)
    return found, arrays.cast(lengths, "float32")


def losses(
    arrays: Any, target: Any, labels: Any, outputs: Any, smoothing: float
) -> tuple[Any, Any]:
    """Nats of each transcript, and the number of its characters.

    Smoothing has no meaning where the right answer of a frame is not known.
    """
    return _nats(arrays, target, labels, outputs)


def kept(arrays: Any, target: Any, labels: Any, outputs: Any) -> Any:
    """Nats and the likeliest answer of each frame, `(examples, 1 + frames)`."""
    nats, _ = _nats(arrays, target, labels, outputs)
    path = arrays.cast(arrays.argmax(outputs, axis=-1), "float32")
    return arrays.concatenate([nats[:, None], path], axis=-1)


def _character_sums(arrays: Any, labels: Any, given: Any) -> Array:
    """Wrong characters, and characters."""
    answers = collapsed(given[:, 1:].astype(np.int32))
    return _sums(edit_distances(labels, answers), labels)


def _word_sums(arrays: Any, labels: Any, given: Any) -> Array:
    """Wrong words, and words."""
    wanted, answers = words_of(labels), words_of(collapsed(given[:, 1:].astype(int)))
    return _sums(edit_distances(wanted, answers), wanted)


def _nat_sums(arrays: Any, labels: Any, given: Any) -> Array:
    return _sums(given[:, 0], labels)


def _sums(amounts: Array, wanted: Array) -> Array:
    return np.array([amounts.sum(dtype=np.float64), np.count_nonzero(wanted)])


def _ratio(labels: Array, sums: Array) -> float:
    return float(sums[0] / max(sums[1], 1.0))


def _share_of_right(labels: Array, sums: Array) -> float:
    """What the character error rate leaves of 1; 0 where errors outnumber
    characters."""
    return max(0.0, 1.0 - _ratio(labels, sums))


def transcript(given: Array, names: Sequence[str]) -> str:
    """The text of the likeliest answers of frames, `(frames, outputs)`, or of decoded
    ids, `(length,)`.

    Example:

    >>> transcript(np.eye(3)[[0, 2, 2, 0, 2]], ["", " ", "a"])
    'aa'
    """
    is_decoded = given.ndim == 1
    ids = given if is_decoded else collapsed(given.argmax(axis=-1)[None])[0]
    return text_of(ids.tolist(), names)


def _counts(labels: Array, outputs: int) -> NDArray[np.int64]:
    counts = np.bincount(labels.reshape(-1), minlength=outputs)[:outputs]
    counts[BLANK] = 0
    return counts


def _constant(labels: Array, outputs: int, metric: str) -> NDArray[np.float64]:
    """The most frequent transcript; before it, the logarithm of the share of each
    character in the training part, and of the end of a transcript in place of the blank
    (each with one more)."""
    counts = _counts(labels, outputs) + 1.0
    counts[BLANK] = len(labels)
    rows, often = np.unique(labels, axis=0, return_counts=True)
    return np.concatenate([np.log(counts / counts.sum()), rows[often.argmax()]])


@dataclass(frozen=True)
class Characters(Head):
    """The head of transcripts, whose constant answer is no output for each frame."""

    def baseline(self, target: Any, constant: Array, labels: Array) -> Array:
        shares, ids = np.split(constant, [target.outputs])
        path = np.stack([ids, np.full_like(ids, BLANK)], axis=1).reshape(-1)
        known = np.minimum(labels, target.outputs - 1)
        nats = -shares[known].sum(axis=1, where=known != BLANK) - shares[BLANK]
        return np.column_stack([nats, np.tile(path, (len(labels), 1))])


_error = partial(error_metric, is_share=True, figure=_ratio)

CHARACTERS = Characters(
    kind="characters",
    title="a transcript",
    nouns=("character", "characters"),
    stratum="character",
    constant_words="the most frequent transcript",
    least_outputs=2,
    dtype="int32",
    is_exclusive=False,
    is_sequence=True,
    is_framed=True,
    counts=_counts,
    strata=lambda labels: np.zeros(len(labels), np.int64),
    loss=KerasCall("CTC"),
    printed="transcript_loss",
    one_hot_loss=None,
    watched=None,
    distillation=None,
    losses=losses,
    text=transcript,
    kept=kept,
    activation="softmax",
    activate=np.asarray,
    constant=_constant,
    chosen=None,
    metric="character_error_rate",
    mean_metric="character_accuracy",
    shown=("character_error_rate", "word_error_rate", "loss"),
    objectives=table_of(
        _error("character_error_rate", sums=_character_sums, aliases=("cer",)),
        share_metric(
            "character_accuracy", sums=_character_sums, figure=_share_of_right
        ),
        _error("word_error_rate", sums=_word_sums, aliases=("wer",)),
        error_metric("loss", sums=_nat_sums, figure=_ratio, aliases=("ctc",)),
    ),
    confusion=None,
)
