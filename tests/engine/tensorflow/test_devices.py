"""Strategies by name."""

import pytest
import tensorflow as tf

from kscale.engine.tensorflow.devices import make_strategy
from kscale.errors import SpecError


def test_a_strategy_is_made_once() -> None:
    assert make_strategy("one") is make_strategy("one")
    assert make_strategy("one").num_replicas_in_sync == 1


def test_auto_mirrors_over_all_gpus_and_changes_nothing_without_any() -> None:
    gpus = tf.config.list_logical_devices("GPU")
    assert make_strategy("auto").num_replicas_in_sync == max(len(gpus), 1)
    if not gpus:
        assert make_strategy("auto") is tf.distribute.get_strategy()


def test_an_unknown_strategy_names_the_nearest() -> None:
    with pytest.raises(SpecError, match="Did you mean 'mirrored'"):
        make_strategy("miror")
