"""What of training depends on the library that computes."""

STRATEGIES = ("auto", "one", "mirrored", "none")
"""Names of devices; see `kscale.engine.tensorflow.devices.make_strategy`."""
