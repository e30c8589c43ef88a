"""Does training hold the memory that is predicted before the network is built?

Command: `python experiments/training_memory.py` (4 minutes; `--smoke`: two networks).
Each network is trained for an epoch of 20 steps in a process of its own, on random
examples. Held is the process' peak of resident memory less what it had after a tiny
training, so the framework itself is not counted; predicted is
`Size.training_bytes(batch)`. Seed 0, Linux only. Rows:
`experiments/results/training_memory.jsonl`.

Result, on 2 CPU cores with TensorFlow 2.21 and Keras 3.15.1 (4 minutes, other processes
running):

    network            batch      params  predicted     held  ratio
    mlp 4 x 2048          32  12,767,242     207 MB   358 MB   1.73
    cnn 4 x 32           128     392,426     110 MB   206 MB   1.88
    cnn 8 x 64           128   4,696,266     469 MB   557 MB   1.19
    resnet 3 x 32        128   4,371,178     797 MB   699 MB   0.88
    mobilenet 2 x 32     128   1,800,234    2677 MB  1853 MB   0.69
    vit 4 x 128          128     809,098     325 MB   728 MB   2.24
    rnn 2 x 256          128     824,842     175 MB   392 MB   2.24

So the prediction orders networks and is right within a factor of 2.3: TensorFlow holds
100 to 400 MB more for what it traced and for temporaries, and frees activations of
large convolutional networks that are not needed any more.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np  # noqa: E402
import psutil  # noqa: E402

import kscale  # noqa: E402

OUTPUT = Path(__file__).parent / "results" / "training_memory.jsonl"
STEPS = 20
CASES: list[tuple[str, dict[str, Any], tuple[int, ...], int]] = [
    ("mlp", {"depth": 4, "width": 2048}, (64,), 32),
    ("cnn", {"depth": 4, "width": 32}, (32, 32, 3), 128),
    ("cnn", {"depth": 8, "width": 64}, (32, 32, 3), 128),
    ("resnet", {"depth": 3, "width": 32}, (32, 32, 3), 128),
    ("mobilenet", {"depth": 2, "width": 32}, (32, 32, 3), 128),
    ("vit", {"depth": 4, "width": 128}, (32, 32, 3), 128),
    ("rnn", {"depth": 2, "width": 256}, (64, 32), 128),
]


def main() -> None:
    """Measure each case in a process of its own, print the table, write the rows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="two networks only")
    parser.add_argument("--case", type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.case is not None:
        print(json.dumps(measured(*CASES[asked.case])))
        return
    rows = []
    for case in range(2 if asked.smoke else len(CASES)):
        command = [sys.executable, __file__, "--case", str(case)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        rows.append(json.loads(done.stdout.splitlines()[-1]))
    print(
        f"{'network':<18}{'batch':>6}{'params':>12}{'predicted':>11}{'held':>9}", end=""
    )
    print(f"{'ratio':>7}")
    for row in rows:
        ratio = row["held"] / row["predicted"]
        print(f"{row['case']:<18}{row['batch']:>6}{row['params']:>12,}", end="")
        print(f"{row['predicted'] / 1e6:>8.0f} MB{row['held'] / 1e6:>6.0f} MB", end="")
        print(f"{ratio:>7.2f}")
    if not asked.smoke:
        OUTPUT.write_text("".join(json.dumps(row) + "\n" for row in rows))


def measured(
    name: str, knobs: dict[str, Any], shape: tuple[int, ...], batch: int
) -> dict[str, Any]:
    """One network's memory, predicted and held."""
    train(name, {**knobs, "depth": 1, "width": 8}, shape, batch)
    before = psutil.Process().memory_info().rss
    size = train(name, knobs, shape, batch)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {
        "case": f"{name} {knobs['depth']} x {knobs['width']}",
        "batch": batch,
        "params": size.params,
        "predicted": size.training_bytes(batch),
        "held": peak - before,
    }


def train(
    name: str, knobs: dict[str, Any], shape: tuple[int, ...], batch: int
) -> kscale.Size:
    """Train an epoch on random examples; its exact size."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(STEPS * batch, *shape)).astype(np.float32)
    few = slice(0, 2 * batch)
    y = rng.integers(0, 10, len(x))
    y[:10] = range(10)
    arrays = {
        "x_train": x,
        "y_train": y,
        "x_validation": x[few],
        "y_validation": y[few],
    }
    dataset = kscale.load_dataset({**arrays, "x_test": x[few], "y_test": y[few]})
    family = kscale.find_family(name)
    blueprint = family.blueprint(family.spec(**knobs), dataset.task)
    model = kscale.build_model(blueprint)
    kscale.fit_model(model, dataset, learning_rate=1e-3, epochs=1, batch_size=batch)
    return kscale.size_of(blueprint)


if __name__ == "__main__":
    main()
