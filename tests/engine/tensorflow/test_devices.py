"""Strategies by name."""

import socket

import pytest
import tensorflow as tf

from kscale.engine.tensorflow import tpu
from kscale.engine.tensorflow.devices import make_strategy
from kscale.errors import SpecError


def test_a_strategy_is_made_once() -> None:
    assert make_strategy("one") is make_strategy("one")
    assert make_strategy("one").num_replicas_in_sync == 1


def test_auto_takes_the_first_gpu_and_changes_nothing_without_any(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Several GPUs train a network each, or are asked to share each network."""
    names = [f"/device:GPU:{number}" for number in range(2)]
    gpus = [tf.config.LogicalDevice(name, "GPU") for name in names]
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind: gpus)
    strategy = make_strategy("auto")
    assert strategy.num_replicas_in_sync == 1
    assert strategy.extended.worker_devices[0].endswith("GPU:0")
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind: [])
    assert make_strategy("auto") is tf.distribute.get_strategy()


def test_an_unknown_strategy_names_the_nearest() -> None:
    with pytest.raises(SpecError, match="Did you mean 'mirrored'"):
        make_strategy("miror")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("GPU:7", "There is no device GPU:7; there are CPU:0"),
        ("CPU:0,GPU", "Unknown strategy 'CPU:0,GPU'. .* names such as GPU:1"),
        ("CPU:0,GPU:0", "must be of one kind, each named once"),
        ("CPU:0,CPU:0", "must be of one kind, each named once"),
        ("TPU:0", "Unknown strategy 'TPU:0'. .* a TPU is tpu or"),
        ("tpu", "There is no TPU in this machine, or TensorFlow lacks its library"),
    ],
)
def test_devices_that_cannot_be_taken_are_named(name: str, text: str) -> None:
    with pytest.raises(SpecError, match=text):
        make_strategy(name)


@pytest.mark.parametrize("name", ["tpu:mine", "tpu:grpc://{address}"])
def test_a_tpu_that_does_not_answer_is_not_waited_for(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tpu, "_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        monkeypatch.setenv("GCE_METADATA_IP", address)
        with pytest.raises(SpecError, match="There is no TPU .* that answers"):
            make_strategy(name.format(address=address))
