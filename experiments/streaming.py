"""How much slower is an epoch of data that lies on disk than of data in memory?

Command: `python experiments/streaming.py` (`--smoke`: few examples, 15 s). The same
network is trained from the same weights on the same random images, held in memory and
streamed in chunks from the temporary folder; the files fit into the system's cache, as
they do where data is somewhat larger than memory. An epoch is the least of several,
after one that is not counted. Seed 0. Rows: `experiments/results/streaming.jsonl`.

Result, on 2 CPU cores with TensorFlow 2.21 and Keras 3.15.1 (2 minutes, six to ten
other processes running, so that a figure may be off by half and more):

    network       images         in memory   streamed   ratio
    linear        28 x 28 x 1       0.18 s     0.20 s    1.12
    mlp 2 64      28 x 28 x 1       0.42 s     0.23 s    0.54
    cnn 1 8       28 x 28 x 1       1.27 s     1.89 s    1.48
    linear        32 x 32 x 3       0.15 s     0.54 s    3.63
    cnn 2 16      32 x 32 x 3       3.64 s     3.74 s    1.03

So an epoch streamed takes up to four times as long where the network does next to
nothing (images are read and scaled again each time), and 1.0 to 1.5 times with
convolutions, behind which the next chunk is read.
"""

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

from kscale import find_family, load_dataset  # noqa: E402
from kscale.data.dataset import Dataset
from kscale.engine.base import Network  # noqa: E402
from kscale.engine.engines import make_engine  # noqa: E402
from kscale.engine.recipe import Recipe  # noqa: E402

OUTPUT = Path(__file__).parent / "results" / "streaming.jsonl"
EXAMPLES = 40_000
EPOCHS = 4
CASES: tuple[tuple[str, dict[str, Any], tuple[int, ...]], ...] = (
    ("linear", {}, (28, 28, 1)),
    ("mlp", {"depth": 2, "width": 64}, (28, 28, 1)),
    ("cnn", {"depth": 1, "width": 8}, (28, 28, 1)),
    ("linear", {}, (32, 32, 3)),
    ("cnn", {"depth": 2, "width": 16}, (32, 32, 3)),
)

Row = dict[str, Any]


def main() -> None:
    """Measure, print the table, write the rows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="few examples")
    smoke = parser.parse_args().smoke
    examples = EXAMPLES // 20 if smoke else EXAMPLES
    rows = [epochs(*case, examples) for case in CASES[: 2 if smoke else None]]
    print(f"{'network':<14}{'images':<13}{'in memory':>11}{'streamed':>11}{'ratio':>8}")
    for row in rows:
        ratio = row["streamed_s"] / row["memory_s"]
        print(
            f"{row['network']:<14}{row['images']:<13}{row['memory_s']:>9.2f} s"
            f"{row['streamed_s']:>9.2f} s{ratio:>8.2f}"
        )
    if not smoke:
        OUTPUT.write_text("".join(json.dumps(row) + "\n" for row in rows))


def epochs(
    family: str, knobs: dict[str, Any], shape: tuple[int, ...], examples: int
) -> Row:
    """Seconds of an epoch, in memory and streamed."""
    rng = np.random.default_rng(0)
    labels = np.arange(examples) % 10
    pixels = rng.integers(0, 256, (examples, *shape), np.uint8)
    stream = tf.data.Dataset.from_tensor_slices((pixels, labels)).batch(256)
    shown = " ".join(str(value) for value in knobs.values())
    return {
        "network": f"{family} {shown}".strip(),
        "images": " x ".join(map(str, shape)),
        "memory_s": epoch(family, knobs, load_dataset(stream)),
        "streamed_s": epoch(family, knobs, load_dataset(stream, memory=0)),
    }


def epoch(family: str, knobs: dict[str, Any], dataset: Dataset) -> float:
    """Seconds of the fastest epoch but for the first."""
    found = find_family(family)
    spec, task, examples = found.spec(**knobs), dataset.task, len(dataset.train)
    recipe = Recipe.for_examples(examples, EPOCHS)
    engine = make_engine("none")
    blueprint, size = found.blueprint(spec, task), found.size(spec, task)
    network = Network(blueprint, size, weight_decay=0.004)
    program = engine.program([network], engine.place(dataset), recipe)
    program.start([0], [1e-3])
    times = []
    for number in range(EPOCHS):
        order = recipe.order(examples, 0, number)
        start = time.perf_counter()
        program.run_epoch([order])
        times.append(time.perf_counter() - start)
    return min(times[1:])


if __name__ == "__main__":
    main()
