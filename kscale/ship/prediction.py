"""Prediction: what a trained model says of one example."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Ranking = tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Prediction:
    """What a trained model says of one example, or why it says nothing.

    Args:
        source: The file, and the row in a file of several examples: `a.csv:17`.
        classes: By target of classes, names with their probabilities, likeliest first.
        values: By target of real values, the values in the unit of the user.
        error: Why there is no prediction; empty if there is one.
        labels: By target of labels, the names of those that are more likely true than
            not, with their probabilities, likeliest first.

    Example:

    >>> print(Prediction("a.png", {"label": (("cat", 0.75), ("dog", 0.25))}))
    a.png: cat (75.0 %)
    """

    source: str
    classes: Mapping[str, Ranking] = field(default_factory=dict)
    values: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    error: str = ""
    labels: Mapping[str, Ranking] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Plain data; each target under its name, `null` without a prediction."""
        targets: dict[str, Any] = {}
        for name, pairs in self.classes.items():
            ranking = [{"class": c, "probability": p} for c, p in pairs]
            targets[name] = {**ranking[0], "ranking": ranking}
        targets |= {
            name: {"labels": [{"label": n, "probability": p} for n, p in pairs]}
            for name, pairs in self.labels.items()
        }
        targets |= {name: {"values": list(v)} for name, v in self.values.items()}
        return {
            "source": self.source,
            "targets": None if self.error else targets,
            "error": self.error or None,
        }

    def __str__(self) -> str:
        if self.error:
            return f"{self.source}: {self.error}"
        rankings = [ranking[:1] for ranking in self.classes.values()]
        texts = [
            ", ".join(f"{name} ({100 * share:.1f} %)" for name, share in ranking)
            or "no label"
            for ranking in (*rankings, *self.labels.values())
        ]
        texts += [" ".join(f"{x:.6g}" for x in v) for v in self.values.values()]
        return f"{self.source}: {', '.join(texts)}"
