"""The record of a head: everything that the kind of a target decides.

Arrays are those of one target. `labels` are what a data set holds: `(examples,)`, or
`(examples, outputs)` where each output has its label, or `(examples, length)` of
sequences. `given` is what `Head.activate` makes of a network's outputs, `(examples,
outputs)`; of sequences what `Head.kept` leaves, `(examples, figures)`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kscale.text import counted

Array = NDArray[Any]
SEPARATOR = "|"
"""Stands between the labels of one example, in tables that are read and written."""

_KEPT_AT_ONCE = 2**24

Figures = Callable[[Any, Any, Any], Any]
"""Of a namespace of arrays, `labels` and `given`, further arrays.

The namespace is `numpy`, or `keras.ops` in a graph; what both know is used. Figures of
transcripts are of `numpy` only.
"""

Distillation = Callable[[Any, Any, Any, float], Any]
"""The loss of each example, of a namespace as for `Figures`, the outputs of a teacher,
those of a network, and the temperature of both."""

Losses = Callable[[Any, Any, Any, Any, float], tuple[Any, Any]]
"""The loss of each example as a sum over what is counted in the example, and the count,
both `(examples,)`, of `keras.ops`, the target, labels, outputs and the share of a label
that is spread over all outputs."""

Kept = Callable[[Any, Any, Any, Any], Any]
"""Of a namespace, the target, labels and outputs, what metrics follow from, `(examples,
figures)`. The namespace is `keras.ops`, or `numpy` for tokens' baseline."""

RATES = ("recall", "precision", "f1_score")
"""Names of the metrics that `rate_metrics` makes."""


@dataclass(frozen=True)
class Objective:
    """A metric, computed on examples the training never saw.

    Args:
        name: Name in reports and of `--objective`.
        higher_is_better: Direction.
        is_share: Whether the metric is a share, which is printed in per cent: between 0
            and 1, but that of errors may be larger.
        values: Figures of each example, `(examples, ...)`; as all functions here, one
            of a module, for other processes get it by name.
        sums: Instead of `values`, their sums over the examples. Without both, the
            metric follows from all of `given`.
        figure: The metric of one target, from `labels` and the sums, where the metric
            is not the mean of the values. A metric that only the user's program knows
            has none of the three.
        aliases: Further names that a user may write.
        least_outputs: Outputs that a target must have.
        parts: Where a task has several targets, the metric of each by target name, in
            their order: the objective is the mean over them.
        is_of_tokens: Whether networks of different vocabularies cannot be compared.
        signature: What others compute the same metric with, in the words of sacrebleu;
            empty where there is one way only.
        is_decoded: Whether the metric is of texts that are decoded, which only
            finalists and answers are: nothing to search by.
    """

    name: str
    higher_is_better: bool
    is_share: bool = False
    values: Figures | None = None
    sums: Figures | None = None
    figure: Callable[[Array, Array], float] | None = None
    aliases: tuple[str, ...] = ()
    least_outputs: int = 0
    parts: tuple[tuple[str, "Objective"], ...] = ()
    is_of_tokens: bool = False
    is_decoded: bool = False
    signature: str = ""

    def better(self, left: float, right: float) -> bool:
        """Whether the left score is better than the right one."""
        return left > right if self.higher_is_better else left < right

    def gain(self, score: float, over: float) -> float:
        """How much better a score is than another; negative if it is worse."""
        return score - over if self.higher_is_better else over - score

    @property
    def is_success(self) -> bool:
        """Whether the metric is a share of what is right, so that 1 is the best."""
        return self.is_share and self.higher_is_better

    @property
    def shares(self) -> Figures | None:
        """Of each example a share, where the metric is their mean."""
        return self.values if self.is_share else None

    def gathered(self, arrays: Any, labels: Any, given: Any) -> Any:
        """The figures that determine the metric: sums, or `given`; see `Figures`."""
        if self.values is not None:
            values = self.values(arrays, labels, given)
            return arrays.sum(arrays.array(values, "float64"), axis=0)
        return given if self.sums is None else self.sums(arrays, labels, given)

    def of(self, labels: Array, pieces: Sequence[Array]) -> float:
        """The metric of one target, from what was gathered of some examples each."""
        join = np.sum if self.values or self.sums else np.concatenate
        return (self.figure or _mean)(labels, join(pieces, axis=0))

    def compute(self, labels: Array, given: Array) -> float:
        """The metric of one target."""
        assert self.values or self.figure, f"{self.name} is no metric of one target"
        return self.of(labels, [self.gathered(np, labels, given)])


def _mean(labels: Array, sums: Array) -> float:
    return float(sums.mean() / len(labels))


share_metric = partial(Objective, higher_is_better=True, is_share=True)
error_metric = partial(Objective, higher_is_better=False)


def rate_metrics(
    counts: Figures, counted: Callable[[Array, int], Array], *f1_aliases: str
) -> Iterator[Objective]:
    """Recall, precision and F1 score: the means over some outputs (macro).

    `counts` are of each output, how often it is rightly given, how often there, and how
    often given: `(3, outputs)`; `counted` are the places of those outputs, of `labels`
    and the number of outputs. A share of nothing is 0, as in Keras; without outputs
    there is no mean, but NaN.
    """
    metric, rate = partial(share_metric, sums=counts), partial(_rate, counted)
    yield metric("recall", figure=partial(rate, 1, 0))
    yield metric("precision", figure=partial(rate, 0, 1))
    yield metric("f1_score", figure=partial(rate, 1, 1), aliases=f1_aliases)


def _rate(
    counted: Callable[[Array, int], Array],
    of_support: int,
    of_answers: int,
    labels: Array,
    sums: Array,
) -> float:
    right, support, answers = sums[:, counted(labels, sums.shape[1])]
    whole = of_support * support + of_answers * answers
    rates = (of_support + of_answers) * right / np.maximum(whole, 1)
    return float(rates.mean()) if len(rates) else float("nan")


def table_of(*objectives: Objective) -> dict[str, Objective]:
    """Objectives by name."""
    return {item.name: item for item in objectives}


class KerasCall(NamedTuple):
    """A class of `keras.losses` or `keras.metrics`, and arguments by name."""

    name: str
    arguments: Mapping[str, Any] = {}


@dataclass(frozen=True)
class Head:
    """Everything that a kind of target decides.

    Words:
        kind: Key of the record in `HEADS`.
        title: The kind as people name it: `real values`.
        nouns: Words for one output and for several: `class`, `classes`.
        stratum: Word for a group that all parts have equal shares of.
        constant_words: The constant answer of the baseline: `the mean`.

    Labels:
        least_outputs: Fewest outputs of a target.
        dtype: Type of `labels`.
        is_exclusive: Whether exactly one output is right. Only then does an example
            have a class, for class weights, and a single label; other kinds except
            sequences have a label for each output: `(examples, outputs)`.
        counts: Of `labels` and the number of outputs, how often each output is right;
            None if outputs have no names, but values. Networks learn values of mean 0
            and deviation 1, and no others with `label_smoothing`.
        strata: Of `labels`, the number of the stratum of each example.
        is_sequence: Whether a label is a sequence: `(examples, length)` of ids, padded
            with 0 at the end; then outputs have a length, too.
        is_framed: Whether outputs are of the frames of a sound, and no label is known
            for each.

    Training:
        loss: The Keras loss of labels as they are. Networks give logits.
        one_hot_loss: The same loss for one-hot rows, if Keras has such a loss.
        smoothed: Name of the loss in printed code where labels are smoothed; empty if
            the loss of Keras smoothes them itself, or if nothing does.
        printed: Name of the loss in printed code where that of Keras is another one.
        watched: The Keras metric shown while Keras trains, if Keras has one.
        distillation: How far outputs are from those of a teacher; None where there
            are too many.
        losses: The loss in the graph, where that of Keras does not give one for each
            example.
        kept: The figures that leave the device as `given` where outputs are larger than
            memory; None if the outputs leave the device themselves.

    Answers:
        activation: The Keras activation at the end of a shipped network.
        activate: The same in NumPy, which makes `given`; figures of sequences come from
            the device and stay unchanged.
        constant: Of `labels` of the training part, the number of outputs and the name
            of a metric, the baseline's outputs for any example, `(outputs,)`: the best
            constant answer where the metric counts found labels. For sequences, the
            numbers that `baseline` takes.
        chosen: Of a row of `given`, the outputs that are the answer, likeliest first,
            and of a ranking no more than asked for; None if the numbers are the answer,
            and for sequences, whose answer is their `text`.
        text: Of ids that were decoded, or of probabilities of frames, and the names of
            the outputs, the answer.
        compared: Of texts and decoded ones, what metrics of both follow from, `(texts,
            figures)`; stands in `given` after what is kept, where texts are decoded.

    Scores:
        metric: Name of the usual objective.
        mean_metric: Name of the metric that goes into a mean over targets of different
            kinds: 1 is the best that can be.
        shown: Names of the metrics that every result has.
        objectives: All metrics by name.
        confusion: `[label, answer, examples]` for all that occur, of `labels` and
            `given`; None for numbers.
    """

    kind: str
    title: str
    nouns: tuple[str, str]
    stratum: str
    constant_words: str

    least_outputs: int
    dtype: str
    is_exclusive: bool
    counts: Callable[[Array, int], NDArray[np.int64]] | None
    strata: Callable[[Array], NDArray[np.int64]]

    loss: KerasCall
    one_hot_loss: KerasCall | None
    watched: KerasCall | None
    distillation: Distillation | None

    activation: str
    activate: Callable[[Array], Array]
    constant: Callable[[Array, int, str], NDArray[np.float64]]
    chosen: Callable[[Array, int | None], list[int]] | None

    metric: str
    mean_metric: str
    shown: tuple[str, ...]
    objectives: Mapping[str, Objective]
    confusion: Callable[[Array, Array], list[list[int]]] | None

    smoothed: str = ""
    printed: str = ""
    is_sequence: bool = False
    is_framed: bool = False
    losses: Losses | None = None
    kept: Kept | None = None
    text: Callable[[Any, Sequence[str]], str] | None = None
    compared: Callable[[Sequence[str], Sequence[str]], Array] | None = None

    @property
    def is_named(self) -> bool:
        """Whether outputs have names, which are the answers."""
        return self.counts is not None

    def answer(self, given: Array, names: Sequence[str]) -> Any:
        """What a person calls a row of `given`: a name, names, or numbers."""
        if self.chosen is None:
            return given.astype(float).tolist()
        found = [names[place] for place in self.chosen(given, None)]
        return found[0] if self.is_exclusive else found

    @property
    def answers(self) -> str:
        """Where predictions have answers: `classes`, `labels`, `values`, `texts`."""
        return "texts" if self.is_sequence else self.nouns[1]

    def columns(self, name: str, outputs: int, top: int) -> list[str]:
        """Columns of a table of predictions: `top` classes, all labels, values, or a
        text."""
        if self.is_sequence:
            return [name]
        if not self.is_named:
            several = [f"{name}_{place}" for place in range(1, outputs + 1)]
            return several if outputs > 1 else [name]
        if not self.is_exclusive:
            return [name, f"{name}_probabilities"]
        ranks = ["", *(f"_{rank}" for rank in range(2, min(top, outputs) + 1))]
        return [
            f"{name}{rank}{what}" for rank in ranks for what in ("", "_probability")
        ]

    def cells(self, prediction: Any, top: int) -> list[Any]:
        """What the columns hold, of names with their probabilities, of values, or of a
        text."""
        if self.is_sequence:
            return [prediction]
        if not self.is_named:
            return list(prediction)
        if self.is_exclusive:
            return [cell for pair in prediction[:top] for cell in pair]
        names, shares = [name for name, _ in prediction], [p for _, p in prediction]
        return [SEPARATOR.join(names), SEPARATOR.join(f"{p:.4g}" for p in shares)]

    def averaged(self, names: Sequence[str]) -> str:
        """What recall, precision, F1 and AUC are of."""
        if self.is_exclusive and len(names) == 2:
            return f"of class {names[1]!r}"
        return f"means over the {self.nouns[1]}"

    def count_text(self, outputs: int) -> str:
        """So many outputs, in words: `1 value`, `10 classes`."""
        return counted(outputs, *self.nouns)

    def label_shape(self, outputs: int, length: int = 0) -> tuple[int, ...]:
        """Shape of the label of one example; `length` is that of a sequence."""
        if self.is_sequence:
            return (length,)
        return () if self.is_exclusive else (outputs,)

    def baseline(self, target: Any, constant: Array, labels: Array) -> Array:
        """`given` of the constant answer, for examples of labels."""
        if self.kept is None:
            return np.tile(constant.astype(np.float32), (len(labels), 1))
        size = max(1, _KEPT_AT_ONCE // (labels.shape[1] * target.outputs))
        pieces = (labels[at : at + size] for at in range(0, len(labels), size))
        row = constant.astype(np.float32)
        return np.concatenate(
            [self.kept(np, target, p, np.tile(row, (*p.shape, 1))) for p in pieces]
        )
