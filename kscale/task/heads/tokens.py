"""Sequences of tokens: translations, and the next token of a text.

A network gives logits of the token at every position, from the tokens before the
position. Labels are `(examples, length)`; 0 is padding, which counts nowhere.

What is kept of an example are four sums: nats of the loss, tokens that are right where
the tokens before are given, tokens, and characters. Bits for each character compare
networks of different vocabularies; the loss and the perplexity of a token do not. A
text has the space before its first word among its characters.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kscale.task.heads.base import (
    Array,
    Head,
    KerasCall,
    Objective,
    error_metric,
    share_metric,
    table_of,
)
from kscale.task.tokens import PADDING, characters_in, text_of

_NATS, _RIGHT, _TOKENS, _CHARACTERS = range(4)
_BLEU, _CHRF = slice(4, 14), slice(14, 32)


def _counted(arrays: Any, labels: Any) -> Any:
    """1 where a label is a token, 0 where it is padding."""
    return arrays.array(arrays.not_equal(labels, PADDING), "float32")


def _nats(arrays: Any, labels: Any, outputs: Any) -> Any:
    shifted = outputs - arrays.max(outputs, axis=-1, keepdims=True)
    chosen = arrays.take_along_axis(shifted, labels[..., None], axis=-1)
    return arrays.log(arrays.sum(arrays.exp(shifted), axis=-1)) - chosen[..., 0]


def losses(
    arrays: Any, target: Any, labels: Any, outputs: Any, smoothing: float
) -> tuple[Any, Any]:
    """Cross-entropy of each example, summed over tokens, and the number of tokens.

    Smoothing spreads a share of a label over all tokens (Vaswani et al. 2017).
    """
    counted = _counted(arrays, labels)
    each = arrays.sparse_categorical_crossentropy(labels, outputs, from_logits=True)
    if smoothing:
        chosen = arrays.take_along_axis(outputs, labels[..., None], axis=-1)[..., 0]
        each += smoothing * (chosen - arrays.mean(outputs, axis=-1))
    return arrays.sum(each * counted, axis=-1), arrays.sum(counted, axis=-1)


def kept(arrays: Any, target: Any, labels: Any, outputs: Any) -> Any:
    """Nats, right tokens, tokens and characters of each example, `(examples, 4)`."""
    counted = _counted(arrays, labels)
    right = arrays.equal(arrays.argmax(outputs, axis=-1), labels)
    lengths = arrays.array(_lengths(target.class_names, target.outputs), "float32")
    sums = (
        _nats(arrays, labels, outputs) * counted,
        arrays.array(right, "float32") * counted,
        counted,
        arrays.take(lengths, labels, axis=0) * counted,
    )
    return arrays.stack([arrays.sum(each, axis=-1) for each in sums], axis=-1)


@cache
def _lengths(names: tuple[str, ...], outputs: int) -> NDArray[np.float32]:
    """Characters of each token; 1 where tokens have no names."""
    return np.array([*map(characters_in, names)] or [1] * outputs, np.float32)


def compared(references: Sequence[str], answers: Sequence[str]) -> Array:
    """What BLEU and chrF follow from, of each text and its answer, `(texts, 28)`.

    The counts are those of sacrebleu (Post 2018): lengths, and right n-grams and
    n-grams up to 4 words; n-grams of answer, text and both up to 6 characters.
    """
    from sacrebleu.metrics.bleu import BLEU
    from sacrebleu.metrics.chrf import CHRF

    found = [
        metric._extract_corpus_statistics([*answers], [[*references]])
        for metric in (BLEU(), CHRF())
    ]
    return np.concatenate([np.array(each, np.float32) for each in found], axis=1)


def _bleu(labels: Array, sums: Array) -> float:
    from sacrebleu.metrics.bleu import BLEU

    return _scored(BLEU(), sums[_BLEU])


def _chrf(labels: Array, sums: Array) -> float:
    from sacrebleu.metrics.chrf import CHRF

    return _scored(CHRF(), sums[_CHRF])


def _scored(metric: Any, counts: Array) -> float:
    """The score of counts; NaN where no texts were decoded."""
    if not len(counts):
        return float("nan")
    return float(metric._compute_score_from_stats(counts.round().astype(int)).score)


def _sums(arrays: Any, labels: Any, given: Any) -> Any:
    return arrays.sum(arrays.array(given, "float64"), axis=0)


def _ratio(over: int, under: int, labels: Array, sums: Array) -> float:
    return float(sums[over] / max(sums[under], 1.0))


def _bits(labels: Array, sums: Array) -> float:
    return _ratio(_NATS, _CHARACTERS, labels, sums) / math.log(2)


def _perplexity(labels: Array, sums: Array) -> float:
    return math.exp(min(_ratio(_NATS, _TOKENS, labels, sums), 700.0))


def _counts(labels: Array, outputs: int) -> NDArray[np.int64]:
    return np.bincount(labels[labels != PADDING], minlength=outputs)


def _constant(labels: Array, outputs: int, metric: str) -> NDArray[np.float64]:
    """Logits of every token anywhere: its share of the training part, with one more
    of each."""
    counts = _counts(labels, outputs) + 1.0
    found: NDArray[np.float64] = np.log(counts / counts.sum())
    return found


_metric = partial(error_metric, sums=_sums)
_decoded = partial(Objective, higher_is_better=True, sums=_sums, is_decoded=True)

_OBJECTIVES = (
    _metric("bits_per_character", figure=_bits, aliases=("bpc",)),
    _metric("loss", figure=partial(_ratio, _NATS, _TOKENS), is_of_tokens=True),
    _metric("perplexity", figure=_perplexity, is_of_tokens=True),
    share_metric(
        "token_accuracy",
        sums=_sums,
        figure=partial(_ratio, _RIGHT, _TOKENS),
        is_of_tokens=True,
    ),
)

NEXT = Head(
    kind="next",
    title="the next token",
    nouns=("token", "tokens"),
    stratum="token",
    constant_words="tokens by their frequency",
    least_outputs=5,
    dtype="int32",
    is_exclusive=False,
    is_sequence=True,
    counts=_counts,
    strata=lambda labels: np.zeros(len(labels), np.int64),
    loss=KerasCall(
        "SparseCategoricalCrossentropy", {"from_logits": True, "ignore_class": PADDING}
    ),
    one_hot_loss=None,
    smoothed="smoothed_tokens",
    watched=None,
    distillation=None,
    losses=losses,
    kept=kept,
    activation="softmax",
    activate=np.asarray,
    constant=_constant,
    chosen=None,
    text=text_of,
    metric="bits_per_character",
    mean_metric="token_accuracy",
    shown=("bits_per_character", "loss", "perplexity", "token_accuracy"),
    objectives=table_of(*_OBJECTIVES),
    confusion=None,
)

TOKENS = replace(
    NEXT,
    kind="tokens",
    title="a sequence of tokens",
    compared=compared,
    shown=("bits_per_character", "loss", "token_accuracy", "bleu", "chrf"),
    objectives=table_of(
        *_OBJECTIVES,
        _decoded(
            "bleu",
            figure=_bleu,
            signature="nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp",
        ),
        _decoded(
            "chrf",
            figure=_chrf,
            signature="nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no",
        ),
    ),
)
