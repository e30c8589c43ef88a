"""What a head is: one record with everything that the kind of a target decides.

Arrays are those of one target. `labels` are what a data set holds: `(examples,)`, or
`(examples, outputs)` where each output has its label. `given` is what `Head.activate`
makes of a network's outputs, always `(examples, outputs)`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Prediction = Sequence[Any]
"""Of one example: names with their probabilities, or values."""


@dataclass(frozen=True)
class Objective:
    """A metric, computed on examples the training never saw.

    Args:
        name: Name in reports and of `--objective`.
        higher_is_better: Direction.
        is_share: Whether the metric lies between 0 and 1, and is printed in per cent.
        score: The metric of `labels` and `given`; None for a mean of several metrics,
            and for a metric that only the user's program knows.
        shares: Of each example a share whose mean over the examples is the score; None
            for other metrics.
        aliases: Further names that a user may write.
        least_outputs: Outputs that a target must have.
        parts: Where a task has several targets, the metric of each by target name, in
            their order: the objective is the mean over them.
    """

    name: str
    higher_is_better: bool
    is_share: bool = False
    score: Callable[[Array, Array], float] | None = None
    shares: Callable[[Array, Array], Array] | None = None
    aliases: tuple[str, ...] = ()
    least_outputs: int = 0
    parts: tuple[tuple[str, "Objective"], ...] = ()

    def better(self, left: float, right: float) -> bool:
        """Whether the left score is better than the right one."""
        return left > right if self.higher_is_better else left < right

    def gain(self, score: float, over: float) -> float:
        """How much better a score is than another; negative if it is worse."""
        return score - over if self.higher_is_better else over - score


@dataclass(frozen=True)
class KerasCall:
    """A class of Keras with the arguments of its constructor.

    Args:
        name: Class in `keras.losses` or `keras.metrics`.
        arguments: Arguments by name.
    """

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Head:
    """What a kind of target decides.

    Words:
        kind: Key of the record in `HEADS`.
        title: The kind as people name it: `real values`.
        nouns: One output and several: `class`, `classes`.
        constant_words: What the baseline always answers: `the mean`.

    Labels:
        least_outputs: Fewest outputs of a target.
        dtype: Type of `labels`.
        has_columns: Whether each output has its label: `(examples, outputs)`.
        is_scaled: Whether a network learns labels of mean 0 and deviation 1.
        is_exclusive: Whether exactly one output is right: only then do examples have a
            class, by which they can be weighted.
        counts: Of `labels` and the number of outputs, how often each output is right;
            None if outputs have no names.
        strata: Of `labels`, groups of examples of which every part gets its share.

    Training:
        loss: The Keras loss of labels as they are. Networks give logits.
        one_hot_loss: The same loss of one-hot rows, where it takes them.
        smooths: Whether `one_hot_loss`, or else `loss`, takes `label_smoothing`.
        watched: The Keras metric shown while Keras trains.

    Answers:
        activation: The Keras activation that makes `given` of a network's outputs.
        activate: The same in NumPy.
        deactivate: From `given` back to a network's outputs.
        constant: Of `labels` of the training part and the number of outputs, what the
            baseline gives for any example, `(outputs,)`.
        chosen: Of a row of `given`, the outputs that are the answer, likeliest first,
            and of a ranking no more than asked for; None if the numbers are the answer.
        answer: Of a row of `given` and the names of the outputs, what a person calls
            the answer: a name, names, or numbers.

    Scores:
        metric: Name of the usual objective.
        mean_metric: Name of the metric that goes into a mean over targets of different
            kinds: 1 is the best that can be.
        shown: Names of the metrics that every result has.
        measure: The `shown` metrics of `labels` and `given`; NaN where undefined.
        objectives: All metrics by name.
        averaged: Words for what the means over outputs are of, by the names of the
            outputs; empty without such metrics.
        confusion: `[label, answer, examples]` for all that occur, of `labels` and
            `given`; None for numbers.

    Predictions:
        columns: Names of the columns of a table of predictions, of the name of the
            target, the number of outputs and the most answers to show.
        cells: What the columns hold, of one prediction and the most answers to show.
    """

    kind: str
    title: str
    nouns: tuple[str, str]
    constant_words: str

    least_outputs: int
    dtype: str
    has_columns: bool
    is_scaled: bool
    is_exclusive: bool
    counts: Callable[[Array, int], NDArray[np.int64]] | None
    strata: Callable[[Array], NDArray[np.int64]]

    loss: KerasCall
    one_hot_loss: KerasCall | None
    smooths: bool
    watched: KerasCall

    activation: str
    activate: Callable[[Array], Array]
    deactivate: Callable[[Array], Array]
    constant: Callable[[Array, int], NDArray[np.float64]]
    chosen: Callable[[Array, int | None], list[int]] | None
    answer: Callable[[Array, Sequence[str]], Any]

    metric: str
    mean_metric: str
    shown: tuple[str, ...]
    measure: Callable[[Array, Array], dict[str, float]]
    objectives: Mapping[str, Objective]
    averaged: Callable[[Sequence[str]], str]
    confusion: Callable[[Array, Array], list[list[int]]] | None

    columns: Callable[[str, int, int], list[str]]
    cells: Callable[[Prediction, int], list[Any]]

    @property
    def is_named(self) -> bool:
        """Whether outputs have names, which are the answers."""
        return self.counts is not None

    def count_text(self, outputs: int) -> str:
        """So many outputs, in words: `1 value`, `10 classes`."""
        return f"{outputs:,} {self.nouns[outputs != 1]}"

    def fewest_numbers(self, outputs: int) -> int:
        """Numbers that a model must give for an example: of two classes one will do."""
        return 1 if self.is_exclusive and outputs == 2 else outputs

    def label_shape(self, outputs: int) -> tuple[int, ...]:
        """Shape of the label of one example."""
        return (outputs,) if self.has_columns else ()


def table_of(*objectives: Objective) -> dict[str, Objective]:
    """Objectives by name."""
    return {item.name: item for item in objectives}
