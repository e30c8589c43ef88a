"""Where the trainings of a plan run."""

from typing import Any

import pytest
import tensorflow as tf
from tuning.made_data import digits

from kscale import plan_search
from kscale.tuning.places import placed


@pytest.mark.parametrize(
    ("asked", "strategy"), [({}, "each"), ({"max_latency_ms": 9.0}, "mirrored")]
)
def test_several_devices_share_what_is_trained_one_at_a_time(
    asked: dict[str, Any], strategy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"/device:GPU:{number}" for number in range(2)]
    gpus = [tf.config.LogicalDevice(name, "GPU") for name in names]
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind: gpus)
    plan = plan_search(digits(), max_params=1000, **asked)
    assert placed(plan, lambda note: None).request.strategy == strategy
