"""How many of its trials does KerasTuner spend inside a limit that few models fit?

A dense network of 1 to 6 layers, each 8 to 1,024 wide, on the built-in digits, at most
2,400 parameters, which 6.9 % of the space fits (20,000 draws). The ways: KerasTuner
with `max_model_size`; the same, but never ended by failures in a row ("patient"); and
`kscale.BudgetedOracle`. All have 1 epoch a trial and the same seeds, 1 to 3.

Command: `python experiments/budgeted_oracle.py --seeds 3 --trials 10` (5 minutes;
`--smoke`: seconds). Rows: `experiments/results/budgeted_oracle.jsonl`.

Result, on 2 CPU cores with TensorFlow 2.21, Keras 3.15.1 and KerasTuner 1.4.8, other
processes running; of 30 trials each:

| tuner | way | trained | failed | searches aborted | seconds |
|---|---|---|---|---|---|
| RandomSearch | max_model_size | 3 | 10 | 3 of 3 | 7 |
| RandomSearch | patient | 4 | 26 | 0 | 17 |
| RandomSearch | kscale | 30 | 0 | 0 | 42 |
| BayesianOptimization | max_model_size | 3 | 10 | 3 of 3 | 13 |
| BayesianOptimization | patient | 4 | 26 | 0 | 28 |
| BayesianOptimization | kscale | 30 | 0 | 0 | 140 |

Seconds are of whole searches, and more was trained in those of kscale.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import keras
import keras_tuner
import numpy as np

import kscale

LIMIT = 2_400
WIDTHS = [8, 16, 32, 64, 128, 256, 512, 1024]
RESULTS = Path(__file__).parent / "results" / "budgeted_oracle.jsonl"


def build(hp: keras_tuner.HyperParameters) -> keras.Model:
    """A dense network on 8 x 8 images."""
    model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten()])
    for index in range(hp.Int("depth", 1, 6)):
        width = hp.Choice(f"width{index}", WIDTHS)
        model.add(keras.layers.Dense(width, activation="relu"))
    model.add(keras.layers.Dense(10, activation="softmax"))
    rate = hp.Float("learning_rate", 1e-4, 1e-2, sampling="log")
    loss = "sparse_categorical_crossentropy"
    model.compile(keras.optimizers.Adam(rate), loss, metrics=["accuracy"])
    return model


def share_that_fits(draws: int = 20_000) -> float:
    """Share of the space inside the limit, by drawing from it."""
    rng = np.random.default_rng(0)
    inside = 0
    for depth in rng.integers(1, 7, draws):
        widths = [64, *rng.choice(WIDTHS, depth), 10]
        pairs = zip(widths, widths[1:], strict=False)
        inside += sum((a + 1) * b for a, b in pairs) <= LIMIT
    return inside / draws


def searched(kind: str, way: str, seed: int, trials: int, data: Any) -> dict[str, Any]:
    """One search, and what became of its trials."""
    more: dict[str, Any] = {} if way == "kscale" else {"max_model_size": LIMIT}
    if kind == "BayesianOptimization":
        more["num_initial_points"] = 4  # its default is all of these trials
    if way == "patient":
        more["max_consecutive_failed_trials"] = 10**6
    with tempfile.TemporaryDirectory() as folder:
        tuner = getattr(keras_tuner, kind)(
            build, "val_accuracy", trials, seed=seed, directory=folder, **more
        )
        if way == "kscale":
            budget = kscale.Budget(max_params=LIMIT)
            tuner.oracle = kscale.BudgetedOracle(tuner.oracle, budget, build)
        start, stopped = time.perf_counter(), ""
        try:
            tuner.search(*data[0], validation_data=data[1], epochs=1, verbose=0)
        except RuntimeError as error:
            stopped = str(error).splitlines()[0]
        seconds = time.perf_counter() - start
        ended = list(tuner.oracle.trials.values())
    scores = [trial.score for trial in ended if trial.status == "COMPLETED"]
    return {
        "tuner": kind,
        "way": way,
        "limit": LIMIT,
        "seed": seed,
        "asked": trials,
        "trained": len(scores),
        "failed": sum(trial.status == "FAILED" for trial in ended),
        "best": max(scores, default=None),
        "passed_over": getattr(tuner.oracle, "passed_over", None),
        "seconds": round(seconds, 2),
        "stopped": stopped,
    }


def main() -> None:
    """Run every search, and append its rows to the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--smoke", action="store_true")
    asked = parser.parse_args()
    seeds, trials = (1, 2) if asked.smoke else (asked.seeds, asked.trials)
    dataset = kscale.load_dataset("digits")
    data = [
        (next(iter(part.inputs.values()))[:], next(iter(part.targets.values())))
        for part in (dataset.train, dataset.validation)
    ]
    print(f"{share_that_fits():.1%} of the space fits {LIMIT:,} parameters")
    kinds = (
        ["RandomSearch"] if asked.smoke else ["RandomSearch", "BayesianOptimization"]
    )
    for kind in kinds:
        for way in ("usual", "patient", "kscale"):
            rows = [searched(kind, way, s, trials, data) for s in range(1, seeds + 1)]
            print(json.dumps(total(rows)))
            if not asked.smoke:
                with RESULTS.open("a") as file:
                    file.writelines(json.dumps(row) + "\n" for row in rows)


def total(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """All seeds of one way."""
    sums = {n: sum(row[n] for row in rows) for n in ("asked", "trained", "failed")}
    ended = sum(bool(row["stopped"]) for row in rows)
    seconds = round(sum(row["seconds"] for row in rows), 1)
    names = {n: rows[0][n] for n in ("tuner", "way")}
    return {**names, **sums, "aborted": ended, "seconds": seconds}


if __name__ == "__main__":
    main()
