"""The engine of TensorFlow keeps the contract, and says where it runs."""

from pathlib import Path

import tensorflow as tf
from contracts.engine import check_engine
from tuning.made_data import digits, small_spec

from kscale.building.models import build_model
from kscale.engine.base import Network
from kscale.engine.engines import make_engine
from kscale.networks.families import find_family
from kscale.task.tasks import Input, Task

MLP = find_family("mlp")


def test_the_engine_keeps_the_contract(tmp_path: Path) -> None:
    spec, task = small_spec(norm="none"), digits().task
    network = Network(MLP.blueprint(spec, task), MLP.size(spec, task))
    check_engine(make_engine("none"), network, digits(), tmp_path)


def test_devices_are_named_and_counted() -> None:
    devices = make_engine("one").devices()
    assert devices.replicas == 1
    assert len(devices.names) == len(tf.config.list_logical_devices())
    assert devices.are_gpus == bool(tf.config.list_physical_devices("GPU"))


def test_a_forward_pass_is_measured_with_its_spread() -> None:
    dense = build_model(MLP.blueprint(small_spec(), digits().task))
    found = make_engine().latency(dense, digits().task, batch=4)
    assert 0 < found.low <= found.median <= found.high


def test_several_inputs_are_given_by_name() -> None:
    ids = Input("ids", "tokens", (4,), 5), Input("types", "tokens", (4,), 2)
    task = Task(ids, digits().task.targets)
    family = find_family("transformer")
    model = build_model(family.blueprint(family.spec(depth=1, width=8), task))
    assert make_engine().latency(model, task).median > 0
