"""Standard errors against hand-worked numbers."""

import numpy as np
import pytest

from kscale.task.evaluation import mean_error
from kscale.task.objectives import task_objective
from kscale.task.tasks import Target, Task


def stderr_of(
    name: str, target: Target, labels: np.ndarray, given: np.ndarray
) -> float:
    task = Task((), (target,))
    return mean_error(task_objective(name, task), task, {target.name: (labels, given)})


def test_the_error_of_a_perfect_accuracy_is_not_zero() -> None:
    wanted = np.zeros(96, int)
    given = np.tile([1.0, 0.0], (96, 1))
    # Agresti & Coull: (96 + 2) / (96 + 4) = .98 of 100.
    error = stderr_of("accuracy", Target("y", "classes", 2), wanted, given)
    assert error == pytest.approx(np.sqrt(0.98 * 0.02 / 100))


def test_the_jackknife_gives_the_error_of_a_mean() -> None:
    rng = np.random.default_rng(1)
    wanted = np.zeros((2000, 1))
    given = rng.exponential(1.0, (2000, 1))
    error = stderr_of("mae", Target("y", "real", 1), wanted, given)
    # Standard deviation 1 over the root of 2,000; 20 groups give it to about 16 %.
    assert error == pytest.approx(1 / np.sqrt(2000), rel=0.6)
