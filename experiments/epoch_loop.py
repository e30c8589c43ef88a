"""How much does an epoch in one graph save against `fit`, and when does XLA pay?

Command: `python experiments/epoch_loop.py` (`--smoke`: two small networks, 20 s). All
ways train the same network on the embedded digits from the same weights, batches of 32,
AdamW; an epoch is the least of several, after one that is not counted: that first one
holds tracing and compiling, and is printed too. Seed 0. Rows:
`experiments/results/epoch_loop.jsonl`.

Result, on 2 CPU cores with TensorFlow 2.21 and Keras 3.15.1 (half a minute, other
processes running):

    network            params      fit    graph      XLA  first epoch: graph     XLA
    mlp 2 x 64          9,354     67.1      5.5      1.9                 460     720
    mlp 3 x 256       153,098     84.9     26.1     12.7                 383     773
    mlp 4 x 1024    3,237,898    489.1    375.1    303.2                 841    1359
    cnn 2 x 16          5,274    115.5     41.0    117.1                 639    1523
    cnn 4 x 32         66,218    194.9    115.6   2307.4                 631    4384

in milliseconds. So the graph is always taken, and XLA for dense networks whose training
saves more than the 0.3 to 0.5 s that compiling adds. On a quiet machine the largest is
320 ms without XLA and 156 ms with it: XLA saves memory traffic, which others use up.
"""

import argparse
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras  # noqa: E402
import tensorflow as tf  # noqa: E402

from kscale import build_model, find_family, load_dataset  # noqa: E402
from kscale.data.parts import Part
from kscale.engine.base import Network  # noqa: E402
from kscale.engine.recipe import Recipe  # noqa: E402
from kscale.engine.tensorflow.compiling import make_optimizer  # noqa: E402
from kscale.engine.tensorflow.epochs import EpochProgram  # noqa: E402
from kscale.engine.tensorflow.placing import PlacedData  # noqa: E402

OUTPUT = Path(__file__).parent / "results" / "epoch_loop.jsonl"
CASES = (
    ("mlp", {"depth": 2, "width": 64}),
    ("mlp", {"depth": 3, "width": 256}),
    ("mlp", {"depth": 4, "width": 1024}),
    ("cnn", {"depth": 2, "width": 16}),
    ("cnn", {"depth": 4, "width": 32}),
)
EPOCHS = 4

Row = dict[str, Any]
Epoch = Callable[[int], object]


def main() -> None:
    """Measure, print the table, write the rows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="small networks only")
    smoke = parser.parse_args().smoke
    rows = [measured(*case) for case in (CASES[::3] if smoke else CASES)]
    print(f"{'network':<15}{'params':>10}{'fit':>9}{'graph':>9}{'XLA':>9}", end="")
    print(f"{'first epoch: graph':>20}{'XLA':>8}   milliseconds")
    for row in rows:
        print(
            f"{row['case']:<15}{row['params']:>10,}{row['fit_ms']:>9.1f}"
            f"{row['graph_ms']:>9.1f}{row['xla_ms']:>9.1f}"
            f"{row['graph_first_ms']:>20.0f}{row['xla_first_ms']:>8.0f}"
        )
    if not smoke:
        OUTPUT.write_text("".join(json.dumps(row) + "\n" for row in rows))


def measured(name: str, knobs: dict[str, Any]) -> Row:
    """An epoch of one network, in the three ways."""
    dataset = load_dataset("digits")
    family = find_family(name)
    spec = family.spec(**knobs)
    blueprint = family.blueprint(spec, dataset.task)
    network = Network(blueprint, family.size(spec, dataset.task), weight_decay=0.004)
    recipe = Recipe(epochs=EPOCHS, batch_size=32)
    data = PlacedData(dataset)
    row: Row = {"case": f"{name} {knobs['depth']} x {knobs['width']}"}
    for way in ("fit", "graph", "xla"):
        model = build_model(blueprint)
        row["params"] = model.count_params()
        optimizer = make_optimizer(recipe, data.examples, 1e-3, 0.004)
        if way == "fit":
            run = fit_epoch(model, optimizer, dataset.train)
        else:
            strategy = tf.distribute.get_strategy()
            program = EpochProgram(network, data, recipe, strategy, way == "xla")
            program.start([0], [1e-3])
            run = graph_epoch(program, recipe, data.examples)
        times = [timed(run, epoch) for epoch in range(EPOCHS)]
        row |= {f"{way}_first_ms": times[0], f"{way}_ms": min(times[1:])}
    return row


def fit_epoch(model: Any, optimizer: Any, part: Part) -> Epoch:
    """Keras' own loop, on arrays held in memory."""
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss)
    x, y = next(iter(part.inputs.values()))[:], next(iter(part.targets.values()))
    return lambda epoch: model.fit(x, y, batch_size=32, verbose=0)


def graph_epoch(program: EpochProgram, recipe: Recipe, examples: int) -> Epoch:
    """kscale's loop."""
    return lambda epoch: program.run_epoch([recipe.order(examples, 0, epoch)])


def timed(run: Epoch, epoch: int) -> float:
    """Milliseconds of an epoch."""
    start = time.perf_counter()
    run(epoch)
    return (time.perf_counter() - start) * 1e3


if __name__ == "__main__":
    main()
