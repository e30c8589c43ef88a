"""What do families give on small texts, at the recipe of a search and by hand?

Each row trains a network of a family with some knobs for three seeds, at a learning
rate and a number of epochs, and scores the last epoch on validation and test part.
Command: `python experiments/small_texts.py --data FOLDER` (`--smoke`: the first row
alone, for one epoch and one seed); FOLDER holds `sst2_train.csv.gz` with its parts, and
`ag_news_7600.csv.gz`. Rows are printed as those of `experiments/results/text.md`.
"""

import argparse
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from kscale.data.dataset import Dataset
from kscale.data.loading import load_dataset
from kscale.engine.family_network import family_network
from kscale.engine.recipe import Recipe
from kscale.engine.tensorflow.engine import TensorFlowEngine
from kscale.networks.families import find_family

Row = tuple[str, dict[str, Any], float, int]
BIGRAMS = {"ngrams": 2, "buckets": 90_000}
PLAIN = {"depth": 1, "norm": "none"}
WORDS = {**PLAIN, "width": 64, "embedding_width": 16, "token_dropout": 0.5}
BLOCK = {"depth": 1, "width": 16, "token_dropout": 0.5}
ROWS: dict[str, list[Row]] = {
    "sst2_train.csv.gz": [
        ("linear", {}, 0.003, 15),
        ("linear", {"ngrams": 2}, 0.003, 15),
        ("linear", {"ngrams": 2, "buckets": 50_000}, 0.003, 15),
        ("linear", BIGRAMS, 0.003, 15),
        ("linear", BIGRAMS, 0.003, 8),
        ("linear", BIGRAMS, 0.006, 5),
        ("linear", {**BIGRAMS, "ngrams": 3}, 0.001, 15),
        ("mlp", {"depth": 1, "width": 24}, 0.001, 15),
        ("mlp", {**PLAIN, "width": 24}, 0.001, 15),
        ("mlp", {**PLAIN, "width": 8, "ngrams": 2, "buckets": 16_000}, 0.001, 15),
        ("cnn", {**WORDS, "width": 32}, 0.001, 15),
        ("cnn", {**WORDS, "embedding_width": 24}, 0.001, 8),
        ("cnn", {**WORDS, "embedding_width": 24, "norm": "batch"}, 0.001, 8),
        ("linear", {"ngrams": 2, "buckets": 81_920}, 0.003, 15),
        ("transformer", BLOCK, 0.001, 15),
        ("transformer", {**BLOCK, "depth": 2, "pooling": "mean"}, 0.001, 15),
    ],
    "ag_news_7600.csv.gz": [
        ("linear", {}, 0.003, 20),
        ("linear", {"ngrams": 2}, 0.003, 20),
        ("mlp", {"depth": 1, "width": 16}, 0.003, 20),
        ("mlp", {**PLAIN, "width": 16}, 0.003, 20),
        ("mlp", {**PLAIN, "width": 40}, 0.001, 20),
        ("mlp", {**PLAIN, "width": 40, "token_dropout": 0.7}, 0.002, 20),
    ],
}


class Scores(NamedTuple):
    """Parameters, and accuracies in percent, one a seed."""

    params: int
    validation: list[float]
    test: list[float]


def scores(dataset: Dataset, placed: Any, engine: Any, row: Row, seeds: int) -> Scores:
    """What the last epoch of each training gives."""
    name, knobs, rate, epochs = row
    network = family_network(find_family(name).spec(**knobs), dataset.task)
    examples = len(dataset.train)
    recipe = Recipe.for_examples(examples, epochs)
    program = engine.program([network], placed, recipe)
    found = Scores(network.size.params, [], [])
    for seed in range(seeds):
        program.start([seed], [rate])
        for epoch in range(recipe.epochs):
            program.run_epoch([recipe.order(examples, seed, epoch)])
        for part in ("validation", "test"):
            rows = dataset.parts[part]
            answers = program.predict(rows.inputs)[0]["label"].argmax(-1)
            is_right = answers == np.ravel(rows.targets["label"][:])
            getattr(found, part).append(100 * float(is_right.mean()))
    program.close()
    return found


def main() -> None:
    """Print a table of each data set."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--smoke", action="store_true")
    asked = parser.parse_args()
    for file, rows in ROWS.items():
        print(f"| {file} | params | rate | epochs | validation | test | tests |")
        print("|---|---|---|---|---|---|---|")
        dataset = load_dataset(asked.data / file)
        engine = TensorFlowEngine("none")
        placed = engine.place(dataset)
        for name, knobs, rate, epochs in rows[: 1 if asked.smoke else None]:
            row = name, knobs, rate, 1 if asked.smoke else epochs
            params, validation, test = scores(
                dataset, placed, engine, row, 1 if asked.smoke else 3
            )
            shown = " ".join(f"{knob}={value}" for knob, value in knobs.items())
            each = ", ".join(f"{score:.1f}" for score in test)
            print(
                f"| {name} {shown} | {params:,} | {rate:g} | {row[3]} | "
                f"{np.mean(validation):.1f} | {np.mean(test):.1f} | {each} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
