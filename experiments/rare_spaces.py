"""How fast are the models found that fit a limit, where next to none of a space do?

Seven builders of KerasTuner's kind on 8 x 8 digits, written with an own vocabulary of
layers, so that the same code makes a Keras model or only counts its weights. The share
that fits is of uniform draws, counted; the rest is what `DrawnPool` does by building:
draws and seconds until the first and the 20th spec that fits, their spread over sizes
(octaves of the limit that have one), and their diversity: the mean distance of two of
them, each hyperparameter scaled to 0 to 1 by its rank among the 20 and those that only
one of them has counted as 1.

Command: `python experiments/rare_spaces.py --seeds 3` (`--smoke`: seconds; `--share
1000000` counts the shares, which takes minutes).

Result, medians of seeds 0 to 2, on 2 CPU cores shared with other work; "before" is the
way until November 2026 (values moved one at a time at random; seed 0, ended after 150
seconds). Shares are of 300,000 uniform draws.

| space | share that fits | first: draws | 20th: draws | seconds | before: 20th |
|---|---|---|---|---|---|
| six_wide | 4e-5 | 37 | 112 | 4 | 921 draws |
| many_deep | 1e-4 | 62 | 243 | 4 | not in 150 s |
| convolutions | 7e-6 | 72 | 444 | 7 | 6 found, 825 draws |
| branches | < 3e-6 | 338 | 430 | 9 | 9 found, 1,111 draws |
| falling | 1e-5 | 40 | 124 | 2 | 1,033 draws |
| factored | < 3e-6 | 314 | 370 | 7 | not in 150 s |
| nested | 4e-5 | 41 | 128 | 5 | 1,270 draws |
"""

import argparse
import itertools
import math
import random
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np

import kscale
from kscale.guests.hypermodels.user_models import UserModels
from kscale.search.drawn_pool import DrawnPool

FOUND = 20


class Layers:
    """Makes a Keras model."""

    def __init__(self) -> None:
        self.inputs = self.x = keras.Input((8, 8, 1))

    def add(self, layer: Any) -> None:
        self.x = layer(self.x)

    def dense(self, units: int) -> None:
        self.add(keras.layers.Dense(units, activation="relu"))

    def conv(self, filters: int, stride: int = 1) -> None:
        self.add(keras.layers.Conv2D(filters, 3, stride, "same", activation="relu"))

    def flat(self) -> None:
        self.add(keras.layers.Flatten())

    def mean(self) -> None:
        self.add(keras.layers.GlobalAveragePooling2D())

    def end(self) -> Any:
        self.dense(10)
        return keras.Model(self.inputs, self.x)


class Counts:
    """Counts the weights of the same."""

    def __init__(self) -> None:
        self.side, self.width, self.params = 8, 1, 0

    def dense(self, units: int) -> None:
        self.params, self.width = self.params + (self.width + 1) * units, units

    def conv(self, filters: int, stride: int = 1) -> None:
        self.params += (9 * self.width + 1) * filters
        self.width, self.side = filters, -(-self.side // stride)

    def flat(self) -> None:
        self.width *= self.side**2

    def mean(self) -> None:
        pass

    def end(self) -> Any:
        self.dense(10)
        return self.params


def six_wide(hp: Any, net: Any) -> Any:
    """Six layers of 32 to 4,096 units."""
    net.flat()
    for place in range(6):
        net.dense(hp.Int(f"units_{place}", 32, 4096, default=999))
    hp.Float("learning_rate", 1e-4, 1e-2, sampling="log")
    return net.end()


def many_deep(hp: Any, net: Any) -> Any:
    """Up to 16 layers, whose units are hyperparameters where there is the layer."""
    net.flat()
    for place in range(hp.Int("layers", 4, 16)):
        net.dense(hp.Choice(f"units_{place}", [2048, 512, 128, 1024, 32]))
        hp.Float(f"dropout_{place}", 0.0, 0.5)
    return net.end()


def convolutions(hp: Any, net: Any) -> Any:
    """Filters, strides, and a dense layer that is small only after large strides."""
    for place in range(hp.Int("blocks", 1, 5)):
        filters = hp.Int(f"filters_{place}", 16, 512, step=16)
        net.conv(filters, 2 if hp.Boolean(f"strided_{place}") else 1)
    net.flat()
    net.dense(hp.Int("units", 64, 4096, sampling="log"))
    return net.end()


def branches(hp: Any, net: Any) -> Any:
    """Eight kinds, of which one can be small, if its own hyperparameters are large."""
    kind = hp.Choice("kind", list("abcdefgh"))
    for name in "abcdefgh":
        with hp.conditional_scope("kind", [name]):
            strides = hp.Choice(f"stride_{name}", [1, 2, 4, 8])
            widths = [hp.Int(f"width_{name}{i}", 24, 2048, step=8) for i in range(4)]
        if name == kind:
            net.conv(widths[0], strides if name == "f" else 1)
            net.flat()
            for width in widths[1:]:
                net.dense(width)
    return net.end()


def falling(hp: Any, net: Any) -> Any:
    """Sizes fall where hyperparameters rise, and each depends on the others."""
    base = hp.Int("base", 256, 4096, sampling="log")
    divisors = [hp.Int(f"divisor_{place}", 1, 16) for place in range(5)]
    net.flat()
    for divisor in divisors:
        net.dense(max(base // divisor, 8))
    return net.end()


def factored(hp: Any, net: Any) -> Any:
    """Large layers, each of which is small only in two factors of a low rank."""
    net.flat()
    for place in range(5):
        if hp.Boolean(f"factored_{place}"):
            net.dense(hp.Int(f"rank_{place}", 4, 512))
        net.dense(hp.Choice(f"units_{place}", [512, 1024, 2048]))
    return net.end()


def nested(hp: Any, net: Any) -> Any:
    """Three choices in one another; most values of the innermost make no model."""
    if hp.Choice("head", ["flat", "mean", "both", "none"]) == "mean":
        style = hp.Choice("style", ["thin", "wide", "odd"])
        filters = hp.Int("filters", 8, 1024)
        if style == "thin":
            filters = max(filters // hp.Int("thinning", 1, 32), 1)
        for _ in range(hp.Int("blocks", 2, 6)):
            net.conv(filters)
        if style == "odd" and filters % 2 == 0:
            raise ValueError("filters must be odd")
        net.mean()
    else:
        for place in range(3):
            net.conv(hp.Int(f"large_{place}", 256, 1024))
        net.flat()
    net.dense(hp.Int("units", 16, 2048))
    return net.end()


SPACES: dict[str, tuple[Callable[[Any, Any], Any], int]] = {
    "six_wide": (six_wide, 500_000),
    "many_deep": (many_deep, 9_000),
    "convolutions": (convolutions, 9_000),
    "branches": (branches, 20_000),
    "falling": (falling, 2_600),
    "factored": (factored, 100_000),
    "nested": (nested, 600),
}


class Uniform:
    """Hyperparameters that are drawn, and nothing else, a million in seconds."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.values: dict[str, Any] = {}
        self.is_active = True

    def Choice(self, name: str, values: list[Any]) -> Any:
        if self.is_active:
            self.values[name] = self.rng.choice(values)
            return self.values[name]
        return None

    def Boolean(self, name: str) -> Any:
        return self.Choice(name, [False, True])

    def Int(
        self,
        name: str,
        least: int,
        most: int,
        step: int = 1,
        sampling: str = "",
        default: int = 0,
    ) -> Any:
        if sampling == "log":
            return int(least * ((most + 1) / least) ** self.rng.random())
        return self.Choice(name, range(least, most + 1, step))

    def Float(self, *args: Any, **more: Any) -> None:
        """Sizes do not depend on it."""

    @contextmanager
    def conditional_scope(self, name: str, values: list[Any]) -> Iterator[None]:
        self.is_active = self.values[name] in values
        yield
        self.is_active = True


def share_that_fits(space: Callable[[Any, Any], Any], limit: int, draws: int) -> float:
    """Share of uniform draws within a limit."""
    inside = 0
    for seed in range(draws):
        try:
            inside += space(Uniform(seed), Counts()) <= limit
        except ValueError:
            continue
    return inside / draws


def distance(specs: list[Any]) -> float:
    """Mean distance of two specs."""
    values: dict[str, list[Any]] = {}
    for spec in specs:
        for name, value in spec.knobs:
            values[name] = sorted({*values.get(name, ()), value})
    ranks = [
        {n: values[n].index(v) / max(len(values[n]) - 1, 1) for n, v in spec.knobs}
        for spec in specs
    ]
    return statistics.fmean(
        statistics.fmean(
            abs(a[n] - b[n]) if n in a and n in b else 1.0 for n in a.keys() | b.keys()
        )
        for a, b in itertools.combinations(ranks, 2)
    )


def searched(name: str, seed: int, number: int, data: Any) -> dict[str, Any]:
    """What drawing from a space took, and what it found."""
    space, limit = SPACES[name]
    models = UserModels(lambda hp: space(hp, Layers()), data.task)
    pool = DrawnPool(models, kscale.Budget(max_params=limit), seed)
    began = time.perf_counter()
    took = []
    for place in range(number):
        if pool.at(place) is None:
            break
        took.append((pool.draws, time.perf_counter() - began))
    specs = pool.specs()
    sizes = [models.counted(spec)[0].params for spec in specs]
    assert max(sizes) <= limit
    octaves = {math.floor(math.log2(limit / size)) for size in sizes}
    return {
        "first": took[0],
        "last": took[-1],
        "found": len(specs),
        "octaves": sorted(octaves),
        "distance": distance(specs) if len(specs) > 1 else 0.0,
    }


def main() -> None:
    """Print a row for each space."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--share", type=int, default=0)
    parser.add_argument("--space", action="append", choices=SPACES)
    parser.add_argument("--smoke", action="store_true")
    asked = parser.parse_args()
    data = kscale.load_dataset("digits")
    seeds, number = (1, 3) if asked.smoke else (asked.seeds, FOUND)
    for name in asked.space or SPACES:
        if asked.share:
            print(name, share_that_fits(*SPACES[name], asked.share), flush=True)
            continue
        rows = [searched(name, seed, number, data) for seed in range(seeds)]
        for what in ("first", "last"):
            draws, seconds = np.median([row[what] for row in rows], axis=0)
            print(f"{name:14} {what:5} {draws:6.0f} draws {seconds:6.1f} s", end="  ")
        print(
            [row["found"] for row in rows],
            sorted({octave for row in rows for octave in row["octaves"]}),
            f"distance {statistics.fmean(row['distance'] for row in rows):.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
