"""Prediction: what a trained model says of one example."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

Ranking = tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Prediction:
    """What a trained model says of one example, or why it says nothing.

    Args:
        source: The file, and the row in a file of several examples: `a.csv:17`.
        classes: By target whose outputs have names, names with their probabilities,
            likeliest first.
        values: By target of numbers, the values in the unit of the user.
        error: Why there is no prediction; empty if there is one.
        several: Targets of which any number of names may be right: `classes` holds just
            the names that the model finds right.

    Example:

    >>> print(Prediction("a.png", {"label": (("cat", 0.75), ("dog", 0.25))}))
    a.png: cat (75.0 %)
    """

    source: str
    classes: Mapping[str, Ranking] = field(default_factory=dict)
    values: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    error: str = ""
    several: Collection[str] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain data; each target under its name, `null` without a prediction."""
        targets = {name: self._ranked(name) for name in self.classes}
        targets |= {name: {"values": list(v)} for name, v in self.values.items()}
        return {
            "source": self.source,
            "targets": None if self.error else targets,
            "error": self.error or None,
        }

    def _ranked(self, name: str) -> dict[str, Any]:
        ranking = [{"class": c, "probability": p} for c, p in self.classes[name]]
        if name in self.several:
            return {"classes": [each["class"] for each in ranking], "ranking": ranking}
        return {**ranking[0], "ranking": ranking}

    def __str__(self) -> str:
        if self.error:
            return f"{self.source}: {self.error}"
        texts = [self._named(name) for name in self.classes]
        texts += [" ".join(f"{x:.6g}" for x in v) for v in self.values.values()]
        return f"{self.source}: {', '.join(texts)}"

    def _named(self, name: str) -> str:
        ranking = self.classes[name]
        shown = ranking if name in self.several else ranking[:1]
        return " and ".join(f"{c} ({100 * p:.1f} %)" for c, p in shown) or "none"
