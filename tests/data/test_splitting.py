"""Parts are the same for ever, share no example and hold every class."""

import numpy as np
import pytest

from kscale.data.loading import load_dataset
from kscale.data.splitting import cut_groups, cut_parts
from kscale.task.heads.real import quantiles

BOTH = ("validation", "test")


def test_the_parts_of_a_seed_never_change() -> None:
    # Made by this code once: a change here gives every user other parts.
    parts = cut_parts(np.arange(20) % 2, BOTH, seed=0)
    assert parts["validation"].tolist() == [2, 4, 5]
    assert parts["test"].tolist() == [1, 6, 18]


@pytest.mark.parametrize("seed", [0, 1, 2**63])
def test_every_row_is_in_one_part(seed: int) -> None:
    strata = np.random.default_rng(5).integers(0, 7, 500)
    parts = cut_parts(strata, BOTH, seed)
    rows = np.concatenate(list(parts.values()))
    assert sorted(rows.tolist()) == list(range(500))
    assert [len(parts[name]) for name in ("train", *BOTH)] == [350, 75, 75]


def test_other_seeds_give_other_parts() -> None:
    strata = np.zeros(1000, dtype=int)
    first, second = (cut_parts(strata, BOTH, seed)["test"] for seed in (0, 1))
    # 150 of 1,000 drawn twice: 22.5 in common, standard deviation 4.0; fails by
    # chance < 1e-9.
    assert len(np.intersect1d(first, second)) < 50


def test_rows_of_a_part_are_spread_evenly() -> None:
    test = cut_parts(np.zeros(10_000, dtype=int), BOTH, 0)["test"]
    # 1,500 of 10,000 rows: their mean has a standard deviation of 69.
    assert abs(test.mean() - 4999.5) < 6 * 69


def test_classes_of_three_examples_are_in_every_part() -> None:
    strata = np.repeat(np.arange(50), 3)
    parts = cut_parts(strata, BOTH, 0)
    for rows in parts.values():
        assert sorted(strata[rows].tolist()) == list(range(50))


def test_a_large_validation_part_is_capped() -> None:
    parts = cut_parts(np.arange(100_000) % 10, BOTH, 0)
    assert len(parts["validation"]) == 10_000
    assert len(parts["test"]) == 15_000


def test_quantiles_hold_equal_numbers_of_neighbours() -> None:
    values = np.random.default_rng(2).normal(size=95)
    strata = quantiles(values)
    assert sorted(np.bincount(strata).tolist()) == [10] * 4 + [11] * 5
    ordered = strata[np.argsort(values)]
    assert (np.diff(ordered) >= 0).all()
    assert quantiles(values[:10]).max() == 0


def test_real_targets_are_alike_in_every_part() -> None:
    y = np.random.default_rng(3).exponential(size=1000)
    data = load_dataset((np.arange(1000.0), y))
    for part in data.parts.values():
        low = (part.targets["value"] < np.median(y)).mean()
        assert abs(low - 0.5) < 0.01


def test_a_group_that_is_far_larger_than_a_part_is_trained_on() -> None:
    groups = np.repeat(np.arange(7), [40, 10, 10, 10, 10, 10, 10])
    for seed in range(20):
        parts = cut_groups(groups, ("validation", "test"), seed)
        assert (groups[parts["train"]] == 0).sum() == 40
        assert all(10 <= len(parts[name]) <= 20 for name in ("validation", "test"))
