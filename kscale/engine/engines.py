"""Which engine there is, chosen where something is trained."""

from kscale.engine.base import Engine


def make_engine(strategy: str = "auto") -> Engine:
    """The engine that trains everything, on devices of a name in `STRATEGIES`."""
    # TensorFlow takes seconds to import, and a plan needs none.
    from kscale.engine.tensorflow.engine import TensorFlowEngine

    return TensorFlowEngine(strategy)
