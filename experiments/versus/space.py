"""What is searched: a small space of networks, its data, its limits, and the truth."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

import kscale

Point = tuple[int, int, float]
"""Depth, width and learning rate."""

FAMILY = "small_cnn"
TRAIN, VALIDATION = 600, 300  # of the 1,797 digits; the other 897 are the truth
TRUTH_SEEDS = (900_001, 900_002, 900_003)


@dataclass(frozen=True)
class Space:
    """A family of few depths, widths and learning rates on a split of the digits.

    Args:
        depths, widths, rates: What a search may choose from.
        shares: Shares of the space that should fit the limits.
        epochs, batch_size: Of a whole training.
        truth_seeds: Seeds of the trainings whose mean test score is a point's truth.
    """

    depths: tuple[int, ...] = (2, 3, 4, 5, 6)
    widths: tuple[int, ...] = (4, 6, 8, 12, 16, 24, 32, 48)
    rates: tuple[float, ...] = (0.001, 0.004, 0.016)
    shares: tuple[float, ...] = (0.05, 0.3, 0.9)
    epochs: int = 12
    batch_size: int = 32
    truth_seeds: tuple[int, ...] = TRUTH_SEEDS

    def install(self) -> kscale.Family:
        """The family, put where kscale looks families up by name."""
        family = kscale.FAMILIES["cnn"]
        values = {"depth": self.depths, "width": self.widths}
        knobs = tuple(
            replace(knob, values=values[knob.name], default=values[knob.name][0])
            if knob.name in values
            else knob
            for knob in family.knobs
        )
        rate = replace(family.learning_rate, values=self.rates, default=self.rates[0])
        family = replace(family, name=FAMILY, knobs=knobs, learning_rate=rate)
        kscale.FAMILIES[FAMILY] = family
        return family

    def points(self) -> list[Point]:
        """The whole space."""
        return list(product(self.depths, self.widths, self.rates))

    @cached_property
    def data(self) -> kscale.Dataset:
        """The digits, in parts of our own: fewer to train on, more to tell apart."""
        whole = kscale.load_dataset("digits")
        name = whole.task.targets[0].name
        x = np.concatenate([part.inputs["x"] for part in whole.parts.values()])
        y = np.concatenate([part.targets[name] for part in whole.parts.values()])
        order = np.random.default_rng(0).permutation(len(x))
        train, validation, test = np.split(order, [TRAIN, TRAIN + VALIDATION])
        arrays: dict[str, Any] = {}
        for part, chosen in (
            ("train", train),
            ("validation", validation),
            ("test", test),
        ):
            arrays |= {f"x_{part}": x[chosen], f"y_{part}": y[chosen]}
        return kscale.load_dataset(arrays, kind="image", name="digits-600")

    def params(self) -> dict[Point, int]:
        """Exact weights of each point."""
        return {point: size.params for point, size in self._sizes().items()}

    def _sizes(self) -> dict[Point, kscale.Size]:
        family = self.install()
        return {
            (depth, width, rate): family.size(
                family.spec(depth=depth, width=width), self.data.task
            )
            for depth, width, rate in self.points()
        }

    def limits(self) -> dict[float, int]:
        """For each share of the space, the limit that about so much of it fits.

        Only limits count at which it does not matter whether all weights are counted,
        as kscale does, or trainable ones only, as KerasTuner does.
        """
        sizes = list(self._sizes().values())
        params = np.array([size.params for size in sizes])
        trainable = np.array([size.trainable for size in sizes])
        fair = [
            int(limit)
            for limit in np.unique(params)
            if np.array_equal(params <= limit, trainable <= limit)
        ]
        fits = {limit: float((params <= limit).mean()) for limit in fair}
        return {
            share: min(fair, key=lambda limit: abs(fits[limit] - share))
            for share in self.shares
        }


SMOKE = Space(
    depths=(2, 3),
    widths=(4, 8, 16),
    rates=(0.004, 0.016),
    shares=(0.5,),
    epochs=2,
    truth_seeds=TRUTH_SEEDS[:1],
)


def train_truth(space: Space, path: Path) -> None:
    """Train every point from every truth seed and note its test score, once."""
    known = {(*_point(row), row["seed"]) for row in read_rows(path)}
    family = space.install()
    wanted = [(p, s) for s in space.truth_seeds for p in space.points()]
    wanted = [(p, s) for p, s in wanted if (*p, s) not in known]
    for number, (point, seed) in enumerate(wanted, start=1):
        depth, width, rate = point
        blueprint = family.blueprint(
            family.spec(depth=depth, width=width), space.data.task
        )
        model = kscale.build_model(blueprint, seed)
        scores = kscale.fit_model(
            model,
            space.data,
            learning_rate=rate,
            epochs=space.epochs,
            batch_size=space.batch_size,
            seed=seed,
        )
        row = {"depth": depth, "width": width, "learning_rate": rate, "seed": seed}
        row |= {"validation": round(scores[-1], 5), "test": _test_score(model, space)}
        append_row(path, row)
        print(f"truth {number} of {len(wanted)}: {row}", flush=True)


def _test_score(model: Any, space: Space) -> float:
    test = space.data.test
    target = space.data.task.targets[0].name
    given = np.asarray(model(test.inputs["x"][:], training=False)).argmax(axis=1)
    return round(float((given == test.targets[target]).mean()), 5)


def read_truth(space: Space, path: Path) -> dict[Point, float]:
    """Mean test score of each point over the truth seeds.

    Raises:
        SystemExit: A point has not been trained.
    """
    scores: dict[Point, list[float]] = {point: [] for point in space.points()}
    for row in read_rows(path):
        if row["seed"] in space.truth_seeds:
            scores[_point(row)].append(row["test"])
    if any(len(found) < len(space.truth_seeds) for found in scores.values()):
        raise SystemExit(f"{path} lacks trainings; run with --part truth first.")
    return {point: fmean(found) for point, found in scores.items()}


def _point(row: Mapping[str, Any]) -> Point:
    return row["depth"], row["width"], row["learning_rate"]


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a file of JSON lines; none if there is no file."""
    return list(_lines(path)) if path.exists() else []


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    for line in path.read_text().splitlines():
        try:
            yield json.loads(line)
        except ValueError:  # cut off when its writer was killed
            continue


def append_row(path: Path, row: Mapping[str, Any]) -> None:
    """Add one row to a file of JSON lines."""
    with path.open("a") as file:
        file.write(json.dumps(row) + "\n")
