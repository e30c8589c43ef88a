"""Several devices train a network each, unless one network must be alone."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tuning.made_data import digits, small_spec

from kscale import plan_search
from kscale.search.contract import Job
from kscale.tuning.attempts import MemberWeights
from kscale.tuning.device_executor import DeviceExecutor


@pytest.mark.parametrize("has_died", [False, True])
def test_what_a_process_died_of_is_trained_while_no_other_is(
    tmp_path: Path, has_died: bool
) -> None:
    """Of three trainings on two devices, the second one; another death is its own."""
    plan = plan_search(digits(), max_params=1000, batch_size=256, epochs=3)
    job = Job("search", 0, small_spec(), (1, 2, 3), (0.01,) * 3, 3)
    all_of = [MemberWeights(tmp_path, job, member) for member in range(3)]
    begun: list[set[int]] = []

    def look(*seen: Any) -> None:
        texts = {w.member: w.attempts.path.read_text() for w in all_of if not ended(w)}
        begun.append({name for name, text in texts.items() if '"is_begun": 1' in text})

    def ended(weights: MemberWeights) -> bool:
        return not weights.attempts.path.exists()

    executor = DeviceExecutor([plan.trainers(), plan.trainers()], look)
    for weights in all_of:
        assignment = weights.begin()
        died = has_died and weights.member == 1
        executor.submit(replace(assignment, deaths=1) if died else assignment)
    done = []
    while len(done) < 3:
        for outcome in executor.finished():
            all_of[outcome.assignment.member].end(outcome.assignment, outcome.training)
            done.append(outcome.training)
    executor.close()
    assert all(training and training.status == "ok" for training in done)
    if has_died:
        assert begun == [{0}] * 3 + [{1}] * 3 + [{2}] * 3
    else:
        assert {0, 1} in begun
