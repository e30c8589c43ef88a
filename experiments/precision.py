"""Do bfloat16 trainings score as float32 ones do, and are they faster?

Command: `python experiments/precision.py` (half a minute; `--smoke`: one network, two
seeds; `--family`: others). A small network of each family is trained on the embedded
digits in both precisions from seeds 0 to 4, as a search trains. Accuracies are of the
validation and the test part together; an epoch is the fastest of a training. Rows:
`experiments/results/precision.jsonl`.

Result, on 2 CPU cores with TensorFlow 2.21 and Keras 3.15.1 (other processes running):

    network            accuracy, float32  bfloat16  seeds          gain    ms an epoch
    mlp 2 x 64                     97.89     98.07   0.21  +0.19 +- 0.15   14.0   15.4
    cnn 2 x 16                     98.74     98.74   0.46  +0.00 +- 0.08   58.5   57.3

in per cent; `seeds` is the standard deviation over seeds, the gain is paired by seed.
So bfloat16 costs no accuracy that seeds would not, and saves no time on this processor:
`--precision auto` is float32 on CPUs. No GPU was measured (`experiments/gpu_check.py`
does), so it is float32 there, too: steps of small networks wait for the GPU's launches,
not for its arithmetic, and what is not known to help is not changed.
"""

import argparse
import json
import os
import time
from dataclasses import replace
from pathlib import Path
from statistics import mean, stdev
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from speed.cases import SIZES, Case, machine  # noqa: E402
from speed.ways import placed_for  # noqa: E402

from kscale.engine.base import Network  # noqa: E402

OUTPUT = Path(__file__).parent / "results" / "precision.jsonl"
SEEDS = 5
PRECISIONS = ("float32", "bfloat16")

Row = dict[str, Any]


def main() -> None:
    """Train in both precisions from each seed, print the table, write the rows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="one network, two seeds")
    parser.add_argument("--family", nargs="+", choices=SIZES, default=["mlp", "cnn"])
    parser.add_argument("--seconds", type=float, default=1e9, help="most time")
    asked = parser.parse_args()
    until = time.perf_counter() + asked.seconds
    for name in asked.family[: 1 if asked.smoke else None]:
        if time.perf_counter() < until:
            case = Case(name, *SIZES[name][0])
            row = compared(case, 2 if asked.smoke else SEEDS)
            print_row(row)
            if not asked.smoke:
                write_row(row)


def write_row(row: Row) -> None:
    """Put a row in the file, in place of an earlier one of the machine and network."""
    text = OUTPUT.read_text() if OUTPUT.exists() else ""
    known = [json.loads(line) for line in text.splitlines()]
    names = ("machine", "case")
    rows = [it for it in known if any(it[name] != row[name] for name in names)]
    OUTPUT.write_text("".join(json.dumps(it) + "\n" for it in [*rows, row]))


def compared(case: Case, seeds: int) -> Row:
    """Accuracies and times of a network in both precisions, from the same seeds."""
    row: Row = {"machine": machine(), "case": case.name}
    for precision in PRECISIONS:
        network = replace(case.network, precision=precision)
        found = [trained(network, case, seed) for seed in range(seeds)]
        row[precision] = {
            "accuracies": [accuracy for accuracy, _ in found],
            "epoch_ms": round(1e3 * min(seconds for _, seconds in found), 2),
        }
    return row


def trained(network: Network, case: Case, seed: int) -> tuple[float, float]:
    """Accuracy on the validation and the test part, and seconds of an epoch."""
    placed, engine = placed_for(case)
    program = engine.program([network], placed, case.recipe)
    program.start([seed], [3e-3])
    times = []
    for epoch in range(case.recipe.epochs):
        start = time.perf_counter()
        program.run_epoch([case.order(seed, epoch)])
        times.append(time.perf_counter() - start)
    right, count = 0, 0
    for part in (case.data.validation, case.data.test):
        (outputs,) = program.predict(part.inputs)
        ((name, labels),) = part.targets.items()
        right += int((outputs[name].argmax(axis=1) == labels).sum())
        count += len(part)
    program.close()
    return right / count, min(times)


def print_row(row: Row) -> None:
    """A line: the difference beside its standard error and the spread of seeds."""
    one, other = (row[precision]["accuracies"] for precision in PRECISIONS)
    gains = [100 * (b - a) for a, b in zip(one, other, strict=True)]
    error = stdev(gains) / len(gains) ** 0.5
    times = [row[precision]["epoch_ms"] for precision in PRECISIONS]
    print(
        f"{row['case']:<20} accuracy {100 * mean(one):.2f} and {100 * mean(other):.2f}"
        f" (seeds {100 * stdev(one):.2f}), gain {mean(gains):+.2f} +- {error:.2f};"
        f" {times[0]:.1f} and {times[1]:.1f} ms an epoch",
        flush=True,
    )


if __name__ == "__main__":
    main()
