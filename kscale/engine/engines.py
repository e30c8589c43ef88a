"""Which engine there is, chosen where something is trained."""

from kscale.engine.base import Engine


def make_engine(strategy: str = "auto") -> Engine:
    """The engine that trains everything, on the devices of a strategy."""
    # TensorFlow takes seconds to import, and a plan needs none.
    from kscale.engine.tensorflow.engine import TensorFlowEngine

    return TensorFlowEngine(strategy)


def device_names() -> tuple[str, ...]:
    """The devices that train."""
    from kscale.engine.tensorflow import devices

    return devices.device_names()
