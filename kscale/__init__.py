"""kscale: how deep and how wide a Keras model should be within what one can afford."""

__version__ = "0.1.0"
