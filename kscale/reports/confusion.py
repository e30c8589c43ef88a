"""Confusion: which class was taken for which how often, and scores of each class."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from kscale.reports.measures import wilson_interval
from kscale.task.tasks import Target


@dataclass(frozen=True)
class ClassScore:
    """Scores of one class or label.

    Args:
        name: Name of the class or label.
        support: Examples of which the name is true.
        answers: Examples of which the name was the answer.
        right: Examples of which both hold.
    """

    name: str
    support: int
    answers: int
    right: int

    @property
    def precision(self) -> float | None:
        """Share of the answers that are right; None without answers."""
        return self.right / self.answers if self.answers else None

    @property
    def recall(self) -> float | None:
        """Share of the examples that were found; None without examples."""
        return self.right / self.support if self.support else None

    @property
    def f1_score(self) -> float:
        """Harmonic mean of precision and recall; 0 where either is undefined."""
        return 2 * self.right / max(self.support + self.answers, 1)

    @property
    def precision_interval(self) -> tuple[float, float] | None:
        """95 % interval (Wilson) of the precision."""
        return _interval(self.right, self.answers)

    @property
    def recall_interval(self) -> tuple[float, float] | None:
        """95 % interval (Wilson) of the recall."""
        return _interval(self.right, self.support)


def _interval(part: int, of: int) -> tuple[float, float] | None:
    return wilson_interval(part / of, of) if of else None


@dataclass(frozen=True)
class Confusion:
    """How often each class was taken for which.

    Args:
        class_names: Names of all classes or labels.
        counts: `(class, answer, examples)` for all that occur, each once. Where several
            may be true, the number of labels stands for no label.
        nouns: What one name and several are called.
        is_exclusive: Whether exactly one name is true of an example.

    Example:

    >>> confusion = Confusion(("cat", "dog"), ((0, 0, 8), (0, 1, 2), (1, 1, 5)))
    >>> [score.recall for score in confusion.scores]
    [0.8, 1.0]
    """

    class_names: tuple[str, ...]
    counts: tuple[tuple[int, int, int], ...]
    nouns: tuple[str, str] = ("class", "classes")
    is_exclusive: bool = True

    @cached_property
    def scores(self) -> tuple[ClassScore, ...]:
        """Scores of all classes, in their order."""
        support, answers, right = Counter[int](), Counter[int](), Counter[int]()
        for wanted, given, examples in self.counts:
            support[wanted] += examples
            answers[given] += examples
            right[wanted] += examples * (wanted == given)
        return tuple(
            ClassScore(name, support[i], answers[i], right[i])
            for i, name in enumerate(self.class_names)
        )


def confusion_from(target: Target, rows: Iterable[Sequence[int]]) -> Confusion:
    """The confusion in a record; indices that are no class are left out."""
    names, head = target.shown_names, target.head
    cells = {(wanted, given): number for wanted, given, number in rows if number}
    known = range(len(names) + (not head.is_exclusive))
    return Confusion(
        names,
        tuple((w, g, n) for (w, g), n in cells.items() if w in known and g in known),
        head.nouns,
        head.is_exclusive,
    )
