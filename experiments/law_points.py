"""Which trainings of a search are points of a law?

A random search is replayed on tables of trained networks: specs of up to a quarter of
the largest size with one seed each, the best three again with two others. Laws of
differently chosen trainings then tell the best error of two to four and a half times
the largest size tried. Shown are the mean and the root mean square of the logarithm of
the told error by the true one, and how often the 90 % interval holds.

Command: `python experiments/law_points.py [TABLE ...]` (`--smoke`: two repeats).
Of 30 repeats each, seeds 12 and 30 (mean, root mean square, intervals that held):

| table, specs tried | all networks | front | half octaves |
|---|---|---|---|
| digits_mlp, 12 | -.15, .29, 30 of 30 | -.37, .43, 27 of 27 | -.23, .34, 30 of 30 |
| digits_mlp, 30 | +.08, .15, 30 of 30 | -.50, .54, 28 of 30 | -.12, .22, 30 of 30 |
| mnist14_cnn, 12 | +.58, .76, 26 of 30 | +.00, .48, 27 of 28 | +.08, .53, 27 of 30 |
| mnist14_cnn, 30 | +.33, .37, 30 of 30 | -.47, .48, 29 of 30 | -.44, .47, 30 of 30 |

No way is the best everywhere. The front promises too much nearly everywhere, and all
networks tell of bad knobs where few were tried. Half octaves, which kscale takes, are
never the worst, and promise too much as well, within their intervals.
"""

import argparse
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np

from kscale.errors import LawError
from kscale.networks.families import FAMILIES
from kscale.runs.entries import Entry, entries_of
from kscale.runs.law.law import fit_law
from kscale.runs.law.points import Point
from kscale.runs.law.run_points import run_points
from kscale.runs.records import Training
from kscale.task.objectives import Objective

TABLES = Path(__file__).parent / "tables"
ACCURACY = Objective("accuracy", higher_is_better=True, is_share=True)
TRIED = (12, 30)
Choose = Callable[[list[Training]], list[Point]]


def every(trained: list[Training]) -> list[Point]:
    """A point of every network."""
    return sorted((point(e) for e in entries_of(trained)), key=lambda p: p.size)


def front(trained: list[Training]) -> list[Point]:
    """Networks that no smaller one is as good as."""
    chosen: list[Point] = []
    for each in every(trained):
        if not chosen or each.error < chosen[-1].error:
            chosen.append(each)
    return chosen


def halves(trained: list[Training]) -> list[Point]:
    """What kscale does."""
    return list(run_points({}, trained, ACCURACY).points)


def point(entry: Entry) -> Point:
    return Point(entry.params, max(1 - entry.score, 1e-4), None, entry.seeds)


WAYS: dict[str, Choose] = {"all": every, "front": front, "half octaves": halves}


class Table:
    """Errors of networks by depth, width, learning rate and seed."""

    def __init__(self, name: str) -> None:
        with np.load(TABLES / f"{name}.npz") as data:
            _, validation, test = data["examples"]
            self.params, self.family = data["params"], str(data["family"])
            self.depth, self.width = data["depth"].tolist(), data["width"].tolist()
            self.rates = data["learning_rate"].tolist()
            right = data["val_right"][..., -1].astype(float)
            self.score = right / validation
            both = right + data["test_right"]
            self.error = (1 - both / (validation + test)).mean(-1).min(-1)

    def training(self, place: tuple[int, ...], seed: int, stage: str) -> Training:
        depth, width, rate = place
        knobs = {"depth": self.depth[depth], "width": self.width[width]}
        params = int(self.params[depth, width])
        return Training(
            key="", stage=stage, job=0, spec=FAMILIES[self.family].spec(**knobs),
            params=params, trainable=params, flops=0, bytes=0, seed=seed, epochs=1,
            learning_rate=self.rates[rate], score=float(self.score[(*place, seed)]),
        )  # fmt: skip

    def searched(self, number: int, rng: np.random.Generator) -> list[Training]:
        """A random search and its finalists."""
        small = np.argwhere(self.params <= self.params.max() / 4).tolist()
        places = [(*shape, r) for shape in small for r in range(len(self.rates))]
        tried = [places[each] for each in rng.permutation(len(places))[:number]]
        seed = int(rng.integers(3))
        best = sorted(tried, key=lambda place: -self.score[(*place, seed)])[:3]
        others = [each for each in range(3) if each != seed]
        return [
            *(self.training(place, seed, "search") for place in tried),
            *(self.training(p, each, "finalist") for p in best for each in others),
        ]

    def told(self, points: list[Point]) -> tuple[float, bool]:
        """How far a law is off, and whether its interval holds."""
        times = self.params / points[-1].size
        far = np.where((times >= 2) & (times <= 4.5), self.error, np.inf)
        place = np.unravel_index(far.argmin(), far.shape)
        truth = float(far[place])
        (found,) = fit_law(points).predict([int(self.params[place])], beyond=True)
        return math.log(found.predicted / truth), found.low <= truth <= found.high


def main() -> None:
    """Print a line for each table, number of specs tried and way to choose."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tables", nargs="*", default=["digits_mlp", "mnist14_cnn"])
    parser.add_argument("--smoke", action="store_true")
    asked = parser.parse_args()
    for name in asked.tables:
        table = Table(name)
        for number in TRIED:
            rng = np.random.default_rng(number)
            runs = [
                table.searched(number, rng) for _ in range(2 if asked.smoke else 30)
            ]
            for way, choose in WAYS.items():
                found = []
                for trained in runs:
                    try:
                        found.append(table.told(choose(trained)))
                    except LawError:
                        continue
                off = np.array([each for each, _ in found])
                held = sum(is_held for _, is_held in found)
                print(
                    f"{name}, {number} tried, {way}: {off.mean():+.2f}, "
                    f"{math.sqrt((off**2).mean()):.2f}, {held} of {len(found)} held, "
                    f"{len(runs) - len(found)} without a law"
                )


if __name__ == "__main__":
    main()
