"""The engine of TensorFlow keeps the contract, and says where it runs."""

from pathlib import Path
from typing import Any

import tensorflow as tf
from contracts.engine import check_engine
from tuning.made_data import digits, small_spec

from kscale.building.models import build_model
from kscale.data.memory import free_bytes
from kscale.engine.base import Network
from kscale.engine.engines import make_engine
from kscale.engine.recipe import Recipe
from kscale.engine.tensorflow.engine import TensorFlowEngine
from kscale.engine.tensorflow.kept import KeptPrograms
from kscale.networks.families import find_family
from kscale.task.tasks import Input, Task

MLP = find_family("mlp")


def test_the_engine_keeps_the_contract(tmp_path: Path) -> None:
    spec, task = small_spec(norm="none"), digits().task
    network = Network(MLP.blueprint(spec, task), MLP.size(spec, task))
    check_engine(make_engine("none"), network, digits(), tmp_path)


def test_one_program_serves_all_trainings_of_a_network() -> None:
    """What differs in seed or rate only is traced once, dropout included."""
    engine, data = make_engine("none"), digits()
    placed, recipe = engine.place(data), Recipe(epochs=2, batch_size=128)
    order = recipe.order(len(data.train), 1, 0)

    def program(**knobs: Any) -> Any:
        spec = small_spec(dropout=0.4, **knobs)
        network = Network(MLP.blueprint(spec, data.task), MLP.size(spec, data.task))
        return engine.program([network], placed, recipe)

    first = program()
    first.start([5], [0.01])
    (loss,) = first.run_epoch([order])
    assert program() is not first  # which is in use
    first.close()
    assert program(width=9) is not first
    again = program()
    assert again is first
    again.start([6], [0.02], epochs=1)
    assert int(again.optimizer.iterations) == len(order)
    assert again.run_epoch([order])[0] != loss
    again.start([5], [0.01])
    assert again.run_epoch([order]) == [loss]


def test_programs_are_kept_within_bounds() -> None:
    kept = KeptPrograms()
    for number in range(40):
        kept.keep(number, f"program {number}", 0)
    assert kept.take(0) is None
    assert kept.take(39) == "program 39"
    assert kept.take(39) is None
    kept.keep("large", "program", free_bytes())
    assert kept.take("large") is None and kept.take(38) is None
    kept.keep("small", "program", 0)
    kept.make_room(0)
    kept.make_room(free_bytes())
    assert kept.take("small") is None


def test_devices_are_named_and_counted() -> None:
    """By the strategy: the CPU of a machine with GPUs is a CPU."""
    engine = TensorFlowEngine("CPU:0")
    devices = engine.devices()
    assert devices.replicas == devices.at_once == 1 and not devices.are_gpus
    (name,) = devices.names
    assert name.endswith("CPU:0")
    engine.strategy = tf.distribute.OneDeviceStrategy("GPU:0")
    assert engine.devices().are_gpus and engine.devices().at_once > 1
    (name,) = TensorFlowEngine("none").devices().names
    assert name.endswith("GPU:0" if tf.config.list_logical_devices("GPU") else "CPU:0")


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
