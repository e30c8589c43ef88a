"""Quantities: what a law is about, and the unit in which people read its values."""

import math
import re
from dataclasses import dataclass

SPACES = re.compile(r"[\s\u00a0\u2009\u202f']")
_EXACT = 1e-6  # of a step: numbers that differ by less are equal
_THOUSANDS = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d+)?")


def real(text: str) -> float:
    """A number as people write one.

    Raises:
        ValueError: The text is no number, or may be two.

    Example:

    >>> real(" 95.5 "), real("1,234,567")
    (95.5, 1234567.0)
    """
    plain = SPACES.sub("", text)
    if _THOUSANDS.fullmatch(plain):
        if plain.count(",") == 1 and "." not in plain:
            raise ValueError(
                f"{text!r} may be {plain.replace(',', '')} or "
                f"{plain.replace(',', '.')}; write a number without a comma."
            )
        plain = plain.replace(",", "")
    try:
        value = float(plain)
    except ValueError:
        raise ValueError(f"{text!r} is not a number.") from None
    if not abs(value) < 1e100:
        raise ValueError(f"{text!r} is not a finite number.")
    return value


@dataclass(frozen=True)
class Quantity:
    """What a law is about, in the unit in which its values are given.

    A law is about an error. A score is turned into one by its distance from a perfect
    score, as a share of that score.

    Args:
        name: As people write it: `loss`, `accuracy`.
        is_score: Whether a higher value is better.
        whole: The value that 100 % are: 1 or 100, which is the perfect score.
        in_per_cent: Whether values are shown in per cent.
        may_be_negative: Whether scores below 0 are possible, as those of r2 are.
        step: Smallest difference of two values: what one example adds to a share of the
            examples. 0 where values may be any number.
    """

    name: str
    is_score: bool = False
    whole: int = 1
    in_per_cent: bool = False
    may_be_negative: bool = False
    step: float = 0.0

    @property
    def _unit(self) -> int:
        """The value of an error of 1."""
        return self.whole if self.is_score or self.in_per_cent else 1

    def error(self, value: float) -> float:
        """The error of a value.

        Example:

        >>> Quantity("accuracy", is_score=True, whole=100).error(95)
        0.05
        """
        return (self.whole - value if self.is_score else value) / self._unit

    def stderr(self, value: float) -> float:
        """The standard error of an error, from that of a value."""
        return value / self._unit

    def value_stderr(self, stderr: float) -> float:
        """The standard error of a value, from that of an error."""
        return self._unit * stderr

    def value(self, error: float) -> float:
        """The value of an error; a score that cannot be negative is 0 at least.

        Example:

        >>> Quantity("accuracy", is_score=True, whole=100).value(0.05)
        95.0
        """
        if not self.is_score:
            return self._unit * error
        score = self.whole * (1 - error)
        return score if self.may_be_negative else max(0.0, score)

    def interval(self, low: float, high: float) -> tuple[float, float]:
        """The values of two errors, the lower value first, with the values between
        which each lies where values differ by whole steps.

        Example:

        >>> Quantity("accuracy", is_score=True, step=0.01).interval(0.003, 0.025)
        (0.97, 1.0)
        """
        first, second = sorted((self.value(low), self.value(high)))
        if not self.step:
            return first, second
        lower, upper = first / self.step + _EXACT, second / self.step - _EXACT
        return math.floor(lower) * self.step, math.ceil(upper) * self.step

    def text(self, value: float) -> str:
        """A value for people.

        Example:

        >>> Quantity("accuracy", is_score=True, in_per_cent=True).text(0.9512)
        '95.12 %'
        """
        if self.in_per_cent:
            return f"{100 * value / self.whole:{'.2f' if self.is_score else '.4g'}} %"
        return f"{value:.4g}"

    def named(self, value: float) -> str:
        """A value with its name.

        Example:

        >>> Quantity("accuracy", is_score=True).named(0.9), Quantity("loss").named(7)
        ('0.9 accuracy', 'loss 7')
        """
        words = [self.name, self.text(value)]
        return " ".join(reversed(words) if self.is_score else words)

    def parse(self, text: str | float) -> float:
        """A value as people write one: a score may be `95%`, `95` or `0.95`.

        Raises:
            ValueError: The text is no number, or no possible value.

        Example:

        >>> accuracy = Quantity("accuracy", is_score=True)
        >>> accuracy.parse("95%"), accuracy.parse(0.95)
        (0.95, 0.95)
        """
        plain = str(text).strip()
        value = real(plain.removesuffix("%"))
        if plain.endswith("%") or (self.is_score and value > 1):
            value = value * self.whole / 100
        elif self.is_score:
            value *= self.whole
        if self.is_score and value > self.whole:
            raise ValueError(f"no {self.name} is above 100 %, as {plain!r} is.")
        if not self.is_score and value < 0:
            raise ValueError(f"no {self.name} is below 0, as {plain!r} is.")
        return value
