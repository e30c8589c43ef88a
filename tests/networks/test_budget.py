"""Budgets keep limits exactly, for one size and for arrays of them."""

import numpy as np
import pytest

from kscale.errors import BudgetError
from kscale.networks.budget import Budget
from kscale.networks.sizing import Size

SIZE = Size(
    params=1000,
    trainable=900,
    flops=50,
    activation_bytes=0,
    training_activation_bytes=0,
)


@pytest.mark.parametrize(
    ("budget", "fits"),
    [
        (Budget(), True),
        (Budget(max_params=1000), True),
        (Budget(max_params=999), False),
        (Budget(max_flops=50), True),
        (Budget(max_flops=49), False),
        (Budget(max_bytes=4000), True),
        (Budget(max_bytes=3999), False),
        (Budget(max_params=1000, max_flops=49), False),
        # Weights, their gradient and Adam's two moments; activations are 0 here.
        (Budget(max_memory=4 * (1000 + 3 * 900)), True),
        (Budget(max_memory=4 * (1000 + 3 * 900) - 1), False),
        (Budget(max_latency_ms=0.001), True),
    ],
)
def test_a_limit_is_kept_to_the_last_weight(budget: Budget, fits: bool) -> None:
    assert budget.allows(SIZE) is fits


def test_arrays_of_sizes_are_allowed_one_by_one() -> None:
    sizes = Size(np.array([10, 20, 30]), 0, np.array([1, 3, 2]), 0, 0)
    fits = Budget(max_params=20, max_flops=2).allows(sizes)
    assert fits.tolist() == [True, False, False]


@pytest.mark.parametrize(
    "limit", [0, -5, 1.5, float("nan"), float("inf"), True, "5", 5e-6]
)
def test_what_is_no_limit_is_refused(limit: int) -> None:
    with pytest.raises(BudgetError, match="`max_params` must be a whole number"):
        Budget(max_params=limit)


def test_memory_counts_the_activations_of_a_batch() -> None:
    size = Size(1, 1, 0, 0, training_activation_bytes=100)
    assert Budget(max_memory=16 + 100 * 8, memory_batch=8).allows(size)
    assert not Budget(max_memory=16 + 100 * 8, memory_batch=9).allows(size)


@pytest.mark.parametrize("limit", [0.0, -1.0, float("nan"), float("inf"), True, "5"])
def test_what_is_no_latency_is_refused(limit: float) -> None:
    with pytest.raises(BudgetError, match="`max_latency_ms` must be a number above 0"):
        Budget(max_latency_ms=limit)


def test_what_was_recorded_is_compared_with_every_limit() -> None:
    used = {"max_params": 10, "max_latency_ms": 1.5}
    assert Budget(max_params=10, max_latency_ms=1.5).allows_used(used)
    assert not Budget(max_params=10, max_latency_ms=1.4).allows_used(used)
    assert Budget(max_latency_ms=3.0).share_of(used) == 0.5
    unmeasured = {**used, "max_latency_ms": None}
    assert Budget(max_params=20, max_latency_ms=1.0).allows_used(unmeasured)
    assert Budget(max_params=20, max_latency_ms=1.0).share_of(unmeasured) == 0.5


def test_whole_floats_become_ints() -> None:
    budget = Budget(max_params=5e6)  # type: ignore[arg-type]
    assert budget == Budget(max_params=5_000_000)
    assert type(budget.max_params) is int


def test_the_share_is_that_of_the_tightest_limit() -> None:
    assert Budget().share(SIZE) == 0.0
    assert Budget(max_params=4000, max_flops=100).share(SIZE) == 0.5


def test_a_budget_says_its_limits() -> None:
    assert str(Budget(max_params=5_000_000, max_flops=10**9)) == (
        "max_params=5M, max_flops=1G"
    )
    assert str(Budget(max_latency_ms=2.5, latency_batch=8)) == "max_latency_ms=2.5"
    assert str(Budget()) == "no limit"
    assert (Budget().is_limited, Budget(max_bytes=1).is_limited) == (False, True)


def test_limits_on_bytes_have_their_unit() -> None:
    budget = Budget(max_params=1500, max_flash=6_291_456, max_ram=393_216)
    assert str(budget) == "max_params=1.5k, max_flash=6.29 MB, max_ram=393 kB"
