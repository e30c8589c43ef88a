"""Prediction: what a trained model says of one example."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Ranking = tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Prediction:
    """What a trained model says of one example, or why it says nothing.

    Args:
        source: The file, and the row in it where it has several: `a.csv:17`.
        classes: By target of classes, names with their probabilities, likeliest first.
        values: By real target, its values in the user's unit.
        error: Why there is no prediction; empty if there is one.
        labels: By target of which several labels may be true, the names of those that
            are more likely true than not with their probabilities, likeliest first.

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
        """Plain data; each target under its name, `null` where there is no answer."""
        targets: dict[str, Any] = {
            name: {
                "class": ranking[0][0],
                "probability": ranking[0][1],
                "ranking": [{"class": c, "probability": p} for c, p in ranking],
            }
            for name, ranking in self.classes.items()
        }
        targets |= {
            name: {"labels": [{"label": n, "probability": p} for n, p in pairs]}
            for name, pairs in self.labels.items()
        }
        targets |= {name: {"values": list(v)} for name, v in self.values.items()}
        error = self.error or None
        return {
            "source": self.source,
            "targets": None if error else targets,
            "error": error,
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
