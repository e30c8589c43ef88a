"""Climbing: the sizes that a search tries, upwards for as long as size helps."""

import math
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from itertools import starmap

from kscale.task.objectives import Objective

_MOST_MISSES = 3  # octaves in a row that do not help, after which the climb pauses
_BELOW = 3  # draws up to the octave that helped, for each look above


@dataclass(frozen=True)
class Reach:
    """Sizes of one family, from which a spec is drawn.

    Octave 0 of a budget is from half of the limit to the limit, octave -1 is from a
    quarter to half, and so on.

    Args:
        family: Name of the family.
        octave: The octave.
        and_below: Whether all smaller sizes count, too.
    """

    family: str
    octave: int
    and_below: bool = False


@dataclass(frozen=True)
class Reached:
    """What a draw came to: mean score of the seeds, and its standard error."""

    family: str
    octave: int
    score: float
    stderr: float


class Climb:
    """Decides the sizes of a search from the results so far.

    Each family begins in the middle between its smallest size and the limit, by the
    logarithm, and goes up an octave at a time, by one spec each, until three in a row
    do not help. An octave helps where the score is better than all before by more than
    the standard error of the difference. From then on three of four specs are drawn up
    to the octave that helped last, and the fourth above: from the next octave first,
    and from one higher each time. So bad luck is put right, and every size is tried if
    only there are trials enough.

    Args:
        lowest: By family, the octave of the smallest spec.
        objective: What is better.

    Attributes:
        tops: By family, the octave up to which size has helped.
    """

    def __init__(self, lowest: Mapping[str, int], objective: Objective) -> None:
        self.objective = objective
        self.tops = dict(lowest)
        self._best: dict[str, Reached] = {}

    def rounds(self) -> Generator[list[Reach], Sequence[Reached], None]:
        """What to draw next, given what the draws of the round before came to."""
        looks = {family: -(-low // 2) for family, low in self.tops.items()}
        misses = 0
        while misses < _MOST_MISSES:
            has_helped = self._has_helped((yield [*starmap(Reach, looks.items())]))
            misses = 0 if has_helped else misses + 1
            if not any(looks.values()):
                break
            looks = {family: min(look + 1, 0) for family, look in looks.items()}
        looks = dict(self.tops)
        while True:
            for family, top in self.tops.items():
                higher = max(looks[family], top) + 1
                looks[family] = higher if higher <= 0 else min(top + 1, 0)
            below = [Reach(family, top, True) for family, top in self.tops.items()]
            above = [Reach(f, look, self.tops[f] == 0) for f, look in looks.items()]
            self._has_helped((yield [*_BELOW * below, *above]))

    def _has_helped(self, reached: Sequence[Reached]) -> bool:
        """Note what a round came to; whether more size has helped a family."""
        tops = dict(self.tops)
        for each in reached:
            best = self._best.setdefault(each.family, each)
            gain = self.objective.gain(each.score, best.score)
            if best is each or gain > math.hypot(each.stderr, best.stderr):
                self.tops[each.family] = max(tops[each.family], each.octave)
            if gain > 0:
                self._best[each.family] = each
        return tops != self.tops
