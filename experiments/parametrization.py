"""Which learning rate is best at each width, and what does it reach?

Command: `python experiments/parametrization.py --data FOLDER` (`--smoke`: one width,
one rate, one seed; `--only cnn-16`: one width of one network; `--table`: what is
known); FOLDER holds `mnist.npz`. An mlp of depth 2 learns the embedded
digits in 15 epochs, a cnn of depth 2 learns 1,000 images of MNIST, averaged to 14 x 14
pixels, in 4, both with the knobs that kscale takes, from three seeds, at
learning rates half a decade apart. The best rate is that of the highest mean on the
validation part, the accuracy is that on the test part. Rows:
`experiments/results/parametrization.jsonl`.

Result, on 2 CPU cores (accuracy in per cent on the test part, three seeds and their
standard deviation; `--table` has that of every rate):

    case      standard: rate, accuracy    mup: rate, accuracy
    mlp-32    0.003  95.80 +- 0.43        0.01   96.79 +- 1.13
    mlp-128   0.003  97.53 +- 0.77        0.003  97.53 +- 0.43
    mlp-512   0.001  98.40 +- 0.57        0.003  97.90 +- 0.21
    mlp-1024  0.001  97.65 +- 0.77        0.003  97.53 +- 0.43
    cnn-8     0.1    80.80 +- 0.65        0.1    80.24 +- 2.30
    cnn-16    0.1    85.93 +- 0.61        0.1    86.89 +- 1.94
    cnn-64    0.1    90.19 +- 0.32        0.1    89.41 +- 0.18

From width 32 to 1024 the best rate of the mlp moves by half a decade with either: from
0.003 to 0.001 with `standard`, from 0.01 to 0.003 with `mup`. The cnns, of few steps,
want the largest rate that was tried. At its best rate `standard` is ahead in four
cases, clearly in the widest cnn alone, and `mup` in two, within their spread: so the
default is `standard`. At rates that are too small for it, `mup` learns more in the
narrow cnns (0.001: 44 against 24 %) and less in the wide one (56 against 71 %). How far
five steps change what layers give, by width, is in
`experiments/results/parametrization.md`.
"""

import argparse
import json
import os
from pathlib import Path
from statistics import mean, stdev
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np  # noqa: E402

from kscale import find_family, load_dataset  # noqa: E402
from kscale.data.dataset import Dataset  # noqa: E402
from kscale.engine.engines import make_engine  # noqa: E402
from kscale.engine.family_network import family_network  # noqa: E402
from kscale.engine.recipe import Recipe  # noqa: E402
from kscale.networks.parametrization import PARAMETRIZATIONS  # noqa: E402

OUTPUT = Path(__file__).parent / "results" / "parametrization.jsonl"
CASES = {
    f"{family}-{width}": (family, width)
    for family, widths in (("mlp", (32, 128, 512, 1024)), ("cnn", (8, 16, 64)))
    for width in widths
}
EPOCHS = {"mlp": 15, "cnn": 4}
SEEDS = 3
RATES = (3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1)

Row = dict[str, Any]


def main() -> None:
    """Train what is asked for, write the rows, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder of mnist.npz")
    parser.add_argument("--only", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--smoke", action="store_true", help="seconds, nothing kept")
    parser.add_argument("--table", action="store_true", help="train nothing")
    asked = parser.parse_args()
    text = OUTPUT.read_text() if OUTPUT.exists() else ""
    rows = [json.loads(line) for line in text.splitlines()]
    names = [] if asked.table else asked.only[: 1 if asked.smoke else None]
    for name in names:
        found = measured(*CASES[name], asked.data, asked.smoke)
        rows = [row for row in rows if row["case"] != name]
        rows += [{"case": name, **row} for row in found]
    if names and not asked.smoke:
        OUTPUT.write_text("".join(json.dumps(row) + "\n" for row in rows))
    for name in CASES:
        print_line(name, [row for row in rows if row["case"] == name])


def measured(family: str, width: int, folder: Path | None, is_small: bool) -> list[Row]:
    """Accuracies on the validation and the test part, a row for each rate."""
    data = load_dataset("digits") if family == "mlp" else mnist(folder)
    recipe = Recipe(1 if is_small else EPOCHS[family], 32)
    engine = make_engine("none")
    placed = engine.place(data)
    spec = find_family(family).spec(depth=2, width=width)
    rows = []
    for parametrization in PARAMETRIZATIONS:
        network = family_network(spec, data.task, parametrization)
        for rate in RATES[2:3] if is_small else RATES:
            scores = []
            for seed in range(1 if is_small else SEEDS):
                program = engine.program([network], placed, recipe)
                program.start([seed], [rate])
                for epoch in range(recipe.epochs):
                    program.run_epoch([recipe.order(len(data.train), seed, epoch)])
                scores.append([accuracy(program, data, p) for p in PARTS])
                program.close()
            validation, test = zip(*scores, strict=True)
            about = {"parametrization": parametrization, "rate": rate}
            rows.append({**about, "validation": validation, "test": test})
    return rows


PARTS = ("validation", "test")


def accuracy(program: Any, data: Dataset, part: str) -> float:
    """Share of right answers, in per cent."""
    examples = data.parts[part]  # type: ignore[index]
    (outputs,) = program.predict(examples.inputs)
    ((name, labels),) = examples.targets.items()
    return round(100 * float((outputs[name].argmax(axis=1) == labels).mean()), 3)


def mnist(folder: Path | None) -> Dataset:
    """1,000 images to train on, 2,000 to choose the rate, 4,000 to test."""
    if folder is None:
        raise SystemExit("--data is the folder that holds mnist.npz.")
    with np.load(folder / "mnist.npz") as file:
        arrays = {name: file[name] for name in file.files}
    rows = {"train": slice(1000), "validation": slice(1000, 3000), "test": slice(4000)}
    chosen = {}
    for part, taken in rows.items():
        of = "test" if part == "test" else "train"
        pixels = arrays[f"x_{of}"][taken].reshape(-1, 14, 2, 14, 2)
        chosen[f"x_{part}"] = pixels.mean((2, 4)).astype(np.float32)
        chosen[f"y_{part}"] = arrays[f"y_{of}"][taken]
    return load_dataset(chosen)


def print_line(name: str, rows: list[Row]) -> None:
    """The best rate of each parametrization, and what all rates reach."""
    for parametrization in PARAMETRIZATIONS:
        mine = [row for row in rows if row["parametrization"] == parametrization]
        if not mine:
            continue
        best = max(mine, key=lambda row: mean(row["validation"]))
        spread = stdev(best["test"]) if len(best["test"]) > 1 else 0.0
        all_rates = " ".join(f"{mean(row['test']):6.2f}" for row in mine)
        print(
            f"{name:<9} {parametrization:<9} {best['rate']:<6g} "
            f"{mean(best['test']):6.2f} +- {spread:.2f}   {all_rates}"
        )


if __name__ == "__main__":
    main()
