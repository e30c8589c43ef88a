"""Which engine there is, chosen where something is trained."""

from kscale.engine.base import Engine


def make_engine(strategy: str = "auto") -> Engine:
    """The engine that trains everything.

    Args:
        strategy: Name of the devices, one of `kscale.engine.base.STRATEGIES`.

    Raises:
        SpecError: There is no strategy of that name.
    """
    # TensorFlow takes seconds to import, and a plan needs none.
    from kscale.engine.tensorflow.engine import TensorFlowEngine

    return TensorFlowEngine(strategy)
