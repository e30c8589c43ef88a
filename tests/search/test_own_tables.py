"""Tables of kscale's own trainings (experiments/), read as search problems."""

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from experiment_modules import experiment

DEPTHS, WIDTHS, RATES, SEEDS, EPOCHS = (1, 2), (4, 8, 16), (0.001, 0.01), (7, 9), 4


def right(depth: int, width: int, rate: float, seed: int, epoch: int) -> int:
    """Right answers of 200, different for each training and epoch."""
    return 8 * WIDTHS.index(width) + 40 * depth + round(1000 * rate) + seed + epoch


@pytest.fixture
def table(tmp_path: Path) -> Path:
    axes = (DEPTHS, WIDTHS, RATES, SEEDS, range(EPOCHS))
    counts = [
        right(d, w, r, s, e)
        for d in DEPTHS
        for w in WIDTHS
        for r in RATES
        for s in SEEDS
        for e in range(EPOCHS)
    ]
    answers = np.array(counts, np.uint16).reshape([len(axis) for axis in axes])
    params = np.multiply.outer(DEPTHS, WIDTHS)
    path = tmp_path / "made.npz"
    np.savez_compressed(
        path,
        val_right=answers,
        test_right=answers[..., -1] // 2,
        examples=np.array([500, 200, 100]),
        params=params,
        work=10 * params,
        depth=np.array(DEPTHS),
        width=np.array(WIDTHS),
        learning_rate=np.array(RATES),
        seed=np.array(SEEDS),
        batch_size=np.array(32),
        family=np.array("mlp"),
        name=np.array("made"),
    )
    return path


@pytest.fixture
def task(table: Path) -> Any:
    (found,) = experiment("tables.reading").read_table(table)
    return found


def test_each_training_is_found_at_its_network_seed_and_epoch(task: Any) -> None:
    assert task.name == "made"
    assert task.curves.shape == (2, 12, EPOCHS)
    for place, (spec, rate) in enumerate(
        zip(task.specs, task.learning_rates, strict=True)
    ):
        knobs = dict(spec.knobs)
        size = knobs["depth"], knobs["width"]
        assert task.params[place] == size[0] * size[1]
        assert task.work[place] == 10 * size[0] * size[1]
        for number, seed in enumerate(SEEDS):
            seen = [right(*size, rate, seed, epoch) / 2 for epoch in range(EPOCHS)]
            assert task.curves[number, place].tolist() == pytest.approx(seen)
        tested = [right(*size, rate, seed, EPOCHS - 1) // 2 for seed in SEEDS]
        assert task.truth[place] == pytest.approx(sum(tested) / 2)  # of 100 examples


def test_a_search_that_sees_everything_misses_nothing(task: Any) -> None:
    replay = experiment("replay")
    limit = task.limit(0.5)
    assert limit == 8
    assert replay.Replay(task, limit, 0).regret("random", 6) == 0
    few = [replay.Replay(task, limit, repeat).regret("random", 1) for repeat in (0, 1)]
    assert max(few) > 0


def test_equal_values_share_their_ranks() -> None:
    figures: ModuleType = experiment("tables.figures")
    assert figures.ranks([3, 1, 3, 2]).tolist() == [2.5, 0, 2.5, 1]
    assert figures.rank_correlation([1, 2, 3], [4, 5, 9]) == pytest.approx(1)
    assert figures.rank_correlation([1, 1, 1], [4, 5, 9]) == 0


def test_larger_networks_that_are_clearly_worse_overfit(table: Path) -> None:
    figures = experiment("tables.figures").figures
    with np.load(table) as file:
        arrays = {name: file[name] for name in file.files}
    assert "**Overfits**" not in "".join(figures(arrays))
    worse = arrays | {"val_right": 199 - arrays["val_right"]}
    # Not what the test part says.
    assert "**Saturates**" in "".join(figures(worse))
    worse["test_right"] = 99 - arrays["test_right"]
    assert "**Overfits**" in "".join(figures(worse))
