"""Several devices train at the same time, unless one network must be alone."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tuning.made_data import digits, small_spec
from warm_python import WarmPython

from kscale import plan_search
from kscale.search.contract import Job
from kscale.tuning.attempts import MemberWeights
from kscale.tuning.device_executor import DeviceExecutor

SEVERAL_ON_EACH = """
import json, sys
from pathlib import Path
import tensorflow as tf
cpus = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(
    cpus[0], [tf.config.LogicalDeviceConfiguration()] * 2
)
from tuning.made_data import AtOnce, digits, small_spec
from kscale import plan_search
from kscale.search.contract import Job
from kscale.tuning.attempts import MemberWeights
from kscale.tuning.device_executor import DeviceExecutor

plan = plan_search(digits(), max_params=1000, batch_size=256, epochs=1)
found = {"programs": [], "slots": [], "together": {}, "alone": {}}

class Telling(AtOnce):
    def program(self, networks, placed, recipe):
        found["programs"].append([self.devices().names[0][-5:], len(networks)])
        return super().program(networks, placed, recipe)

def trainers_on(name):
    trainer_of = plan.trainers()
    trainer_of(small_spec()).engine = Telling(name)
    return trainer_of

job = Job("search", 0, small_spec(), tuple(range(1, 9)), (0.01,) * 8, 1)
both = trainers_on("CPU:0"), trainers_on("CPU:1")
executor = DeviceExecutor(both, lambda *seen: None)
due, out = [MemberWeights(Path(sys.argv[1]), job, member) for member in range(8)], 0
while len(found["together"]) < 8:
    found["slots"].append(executor.slots)
    while due and out < executor.slots:
        executor.submit(due.pop(0).begin())
        out += 1
    for outcome in executor.finished():
        found["together"][outcome.assignment.member] = outcome.training.curve["loss"]
        out -= 1
executor.close()
trainer = plan.trainers()(small_spec())
for member in (0, 7):
    alone = MemberWeights(Path(sys.argv[2]), job, member).train(trainer)
    found["alone"][member] = alone.curve["loss"]
json.dump(found, sys.stdout)
"""


def test_each_device_trains_several_networks_in_one_program(
    warm_python: WarmPython, tmp_path: Path
) -> None:
    """Of eight, three each at first; the rest goes to the device that is free first."""
    for name in ("together", "alone"):
        (tmp_path / name).mkdir()
    done = warm_python.run_here(
        SEVERAL_ON_EACH, tmp_path / "together", tmp_path / "alone"
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    (_, rest), *first = sorted(found["programs"], key=lambda program: program[1])
    assert rest == 2 and sorted(first) == [["CPU:0", 3], ["CPU:1", 3]]
    assert found["slots"][0] == 2
    for member, losses in found["alone"].items():
        assert found["together"][member] == pytest.approx(losses, rel=1e-3)


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
