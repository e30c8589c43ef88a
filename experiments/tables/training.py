"""Trains a grid with kscale's engine; each training is a line of a file at once."""

import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kscale.data.dataset import Dataset
from kscale.engine.base import Program
from kscale.engine.engines import make_engine
from kscale.task.evaluation import mean_score
from kscale.task.objectives import task_objective
from tables.grids import Grid

Row = dict[str, Any]


@dataclass(frozen=True, eq=False)
class GridTraining:
    """A grid with its data set, and the file of what was trained.

    Args:
        grid: What to train.
        dataset: What to train on.
        path: File of a line for each training.
    """

    grid: Grid
    dataset: Dataset
    path: Path

    def rows(self) -> list[Row]:
        """All trainings that are in the file; a line that is cut off is none."""
        lines = self.path.read_text().splitlines() if self.path.exists() else []
        whole = [line for line in lines if line.endswith("}")]
        return [json.loads(line) for line in whole]

    def train(self) -> Iterator[Row]:
        """Train what is missing, rates and seeds of a network one after the other."""
        known = {_key(row) for row in self.rows()}
        engine = make_engine("auto")
        placed = engine.place(self.dataset)
        recipe = self.grid.recipe(self.dataset)
        for depth, width in self.grid.sizes():
            network = self.grid.network(self.dataset, depth, width)
            for rate in self.grid.rates:
                for seed in self.grid.seeds:
                    about = {"depth": depth, "width": width, "rate": rate, "seed": seed}
                    if _key(about) in known:
                        continue
                    program = engine.program([network], placed, recipe)
                    row = about | self._trained(program, seed, rate)
                    self._add(row)
                    yield row

    def _trained(self, program: Program, seed: int, rate: float) -> Row:
        """Right answers on validation after each epoch, and on the test part."""
        start, dataset = time.perf_counter(), self.dataset
        recipe, examples = self.grid.recipe(dataset), len(dataset.train)
        program.start([seed], [rate])
        right = []
        for epoch in range(recipe.epochs):
            program.run_epoch([recipe.order(examples, seed, epoch)])
            right.append(_count(program.score()[0], len(dataset.validation)))
        (outputs,) = program.predict(dataset.test.inputs)
        program.close()
        task = dataset.task
        score = mean_score(
            task_objective(None, task), task, dataset.pairs("test", outputs)
        )
        return {
            "right": right,
            "test_right": _count(score, len(dataset.test)),
            "seconds": round(time.perf_counter() - start, 2),
            "load": round(os.getloadavg()[0], 1),
        }

    def _add(self, row: Row) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        is_cut = self.path.exists() and not self.path.read_bytes().endswith(b"\n")
        with self.path.open("a") as file:
            file.write("\n" * is_cut + json.dumps(row) + "\n")

    def write(self, path: Path) -> None:
        """The table, once everything is trained."""
        grid, dataset = self.grid, self.dataset
        found = {_key(row): row for row in self.rows()}
        rows = [
            found[depth, width, rate, seed]
            for depth, width in grid.sizes()
            for rate in grid.rates
            for seed in grid.seeds
        ]
        networks = [grid.network(dataset, *size).size for size in grid.sizes()]
        sizes = grid.shape()[:2]
        np.savez_compressed(
            path,
            val_right=_counts(rows, "right").reshape(*grid.shape(), -1),
            test_right=_counts(rows, "test_right").reshape(grid.shape()),
            examples=np.array([len(part) for part in dataset.parts.values()]),
            seconds=np.reshape([row["seconds"] for row in rows], grid.shape()).astype(
                np.float32
            ),
            params=np.reshape([size.params for size in networks], sizes),
            work=np.reshape([size.training_work for size in networks], sizes),
            depth=np.array(grid.depths),
            width=np.array(grid.widths),
            learning_rate=np.array(grid.rates),
            seed=np.array(grid.seeds),
            batch_size=np.array(grid.recipe(dataset).batch_size),
            family=np.array(grid.family),
            name=np.array(grid.name),
        )


def _key(row: Row) -> tuple[Any, ...]:
    return row["depth"], row["width"], row["rate"], row["seed"]


def _count(share: float, examples: int) -> int:
    """Examples of a share."""
    count = round(share * examples)
    if abs(share * examples - count) > 1e-3:
        raise ValueError(f"{share} is no share of {examples} examples.")
    return count


def _counts(rows: list[Row], name: str) -> Any:
    return np.array([row[name] for row in rows], np.uint16)
