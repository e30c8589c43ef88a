"""How fast is an exact size, and how much faster than building the model to count it?

Command: `python experiments/sizing_speed.py` (`--smoke`: some seconds, small networks
only). Times of sizes are the best of several repeats; a Keras build is timed once,
after an unmeasured one, and its `count_params()` must equal the size.
Nothing is random. Rows: `experiments/results/sizing_speed.jsonl`.

Result, on 2 CPU cores with Keras 3.15.1 and TensorFlow 2.21 (11 seconds):

    one size             params  blueprint     size  Keras build   ratio
    mlp depth 2           6,083   0.006 ms 0.020 ms         9 ms    350x
    cnn depth 13     10,194,890   0.019 ms 0.076 ms       197 ms  2,085x
    VGG16           138,357,544   0.020 ms 0.073 ms      1555 ms 16,808x
    ResNet-50        25,636,712   0.093 ms 0.250 ms       650 ms  1,896x
    BERT-base       109,482,240   0.038 ms 0.053 ms       979 ms 10,818x
    BERT-large      335,141,888   0.037 ms 0.050 ms      2678 ms 30,639x

    many sizes                                sizes    a second
    mlp depth 2                              65,536  13,976,648
    cnn depth 13                             65,536   3,828,837
    VGG16                                    65,536   7,102,856
    ResNet-50                                65,536   2,701,889
    BERT-base                                65,536   7,405,159
    BERT-large                               65,536   7,380,671
    cnn, 120 structures x 64 widths           7,680     274,898
    cnn, 120 structures x 1024 widths       122,880   3,669,659

A structure costs about a quarter of a millisecond however few widths it is counted for:
a pool reaches a million sizes a second from some 250 widths a structure on.
"""

import argparse
import json
import os
import time
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np  # noqa: E402

from kscale import (  # noqa: E402
    FAMILIES,
    Family,
    Spec,
    Task,
    build_model,
    find_named,
    size_of,
)

OUTPUT = Path(__file__).parent / "results" / "sizing_speed.jsonl"
CHUNK = 65_536

Case = tuple[str, Family, Spec, Task]
Row = dict[str, Any]


def main() -> None:
    """Measure, print the tables, write the rows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="small networks only")
    smoke = parser.parse_args().smoke
    cases = list(_cases())[: 2 if smoke else None]
    build_model(cases[0][1].blueprint(*cases[0][2:]))  # the first build is slower
    pools = [_pool(width) for width in ([512] if smoke else [512, 8192])]
    rows = [*map(_single, cases), *map(_chunk, cases), *pools]
    _print_rows(rows)
    if not smoke:
        OUTPUT.write_text("".join(json.dumps(row) + "\n" for row in rows))


def _cases() -> Iterator[Case]:
    vector = Task.of("vector", (20,), classes=3)
    image = Task.of("image", (32, 32, 3), classes=10)
    mlp, cnn = FAMILIES["mlp"], FAMILIES["cnn"]
    yield "mlp depth 2", mlp, mlp.spec(depth=2, width=64), vector
    yield "cnn depth 13", cnn, cnn.spec(depth=13, width=64), image
    for name in ("VGG16", "ResNet-50", "BERT-base", "BERT-large"):
        known, named = find_named(name)
        family = FAMILIES[named.family]
        yield known, family, family.spec(**named.knobs), named.task


def _best_ms(work: Callable[[], object], repeats: int, loops: int = 1) -> float:
    best = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        for _ in range(loops):
            work()
        best = min(best, time.perf_counter() - start)
    return best / loops * 1e3


def _single(case: Case) -> Row:
    """One size, its blueprint, and a Keras build of the same spec."""
    name, family, spec, task = case
    blueprint = family.blueprint(spec, task)
    start = time.perf_counter()
    counted = build_model(blueprint).count_params()
    build_ms = (time.perf_counter() - start) * 1e3
    if counted != size_of(blueprint).params:
        raise SystemExit(f"{name}: Keras counts {counted}, kscale does not.")
    return {
        "measure": "single",
        "case": name,
        "params": counted,
        "blueprint_ms": _best_ms(lambda: family.blueprint(spec, task), 100, 10),
        "size_ms": _best_ms(lambda: size_of(blueprint), 100, 10),
        "keras_ms": build_ms,
    }


def _chunk(case: Case) -> Row:
    """Sizes a second of one structure with a chunk of widths, blueprint included."""
    name, family, spec, task = case
    widths = 64 * (1 + np.arange(CHUNK) % 128)  # up to 8,192: wider overflows int64
    knobs = {**dict(spec.knobs), "width": widths}
    ms = _best_ms(lambda: size_of(family.blueprint_of(knobs, task)), 5)
    return _many("chunk", name, CHUNK, ms)


def _pool(most_width: int) -> Row:
    """Sizes a second of all cnns of the depths, stages and norms a search tries."""
    task = Task.of("image", (32, 32, 3), classes=10)
    family = FAMILIES["cnn"]
    names = ("depth", "stages", "norm")
    widths = np.arange(8, most_width + 1, 8, dtype=np.int64)
    choices = [
        {**dict(family.spec().knobs), **dict(zip(names, values, strict=True))}
        for values in product(*(family.knob(name).values for name in names))
    ]

    def count() -> None:
        for knobs in choices:
            size_of(family.blueprint_of({**knobs, "width": widths}, task))

    case = f"cnn, {len(choices)} structures x {len(widths)} widths"
    return _many("pool", case, len(choices) * len(widths), _best_ms(count, 5))


def _many(measure: str, case: str, sizes: int, ms: float) -> Row:
    return {
        "measure": measure,
        "case": case,
        "sizes": sizes,
        "sizes_per_second": round(sizes / ms * 1e3),
    }


def _print_rows(rows: list[Row]) -> None:
    print(f"{'one size':<14}{'params':>13}{'blueprint':>11}{'size':>9}", end="")
    print(f"{'Keras build':>13}{'ratio':>8}")
    for row in rows:
        if row["measure"] == "single":
            ratio = row["keras_ms"] / (row["blueprint_ms"] + row["size_ms"])
            print(
                f"{row['case']:<14}{row['params']:>13,}{row['blueprint_ms']:>8.3f} ms"
                f"{row['size_ms']:>6.3f} ms{row['keras_ms']:>10.0f} ms{ratio:>7,.0f}x"
            )
    print(f"\n{'many sizes':<38}{'sizes':>9}{'a second':>12}")
    for row in rows:
        if row["measure"] != "single":
            speed = row["sizes_per_second"]
            print(f"{row['case']:<38}{row['sizes']:>9,}{speed:>12,}")


if __name__ == "__main__":
    main()
