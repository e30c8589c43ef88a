"""Layer records for sounds whose network answers for every frame.

Sounds differ in length, so frames at the end may be padding, which is 0 in all bands.
Padding is read by no layer, and there the answer is a sure blank: neither the loss nor
the transcript changes with the number of such frames.
"""

from dataclasses import dataclass

from kscale.networks.blueprint import Costless, Dense, Layer
from kscale.networks.layer_costs import Cost, Tensor, shape_of, tensor


@dataclass(frozen=True)
class StackFrames(Layer):
    """Neighbouring frames as one: `(length, features)` of so many times the features
    (Sak et al. 2015).

    Frames at the end that are too few for one more stand before zeros, which are
    padding: a sound becomes the same, however much padding follows.

    Args:
        frames: Frames that become one.
    """

    frames: int

    def cost(self, read: list[Tensor]) -> Cost:
        length, features = shape_of(read, 2)
        return Cost(tensor(-(-length // self.frames), self.frames * features))


@dataclass(frozen=True)
class FrameMask(Layer):
    """True up to the last frame of `(length, features)` that is not 0 everywhere, and
    at the first frame, for recurrent layers on GPUs must read one."""

    def cost(self, read: list[Tensor]) -> Cost:
        return Cost(tensor(shape_of(read, 2)[0], itemsize=1))


@dataclass(frozen=True)
class CentredFrames(Costless):
    """Frames `(length, features)`, each feature with mean 0 and deviation 1 over the
    frames where a mask `(length,)`, the second input, is true; 0 elsewhere.

    So neither loudness nor microphone tell sounds apart (Viikki & Laurila 1998).
    """


@dataclass(frozen=True)
class FrameLogits(Dense):
    """`keras.layers.Dense` on every frame, whose first output is the blank.

    The inputs are frames `(length, features)` and a mask `(length,)`: where the mask is
    false, the blank has a probability of 1.
    """


@dataclass(frozen=True)
class MaskedFrames(Costless):
    """Frames `(length, features)`, with 0 where a mask `(length,)`, the second input,
    is false."""


@dataclass(frozen=True)
class DepthwiseConv1D(Layer):
    """`keras.layers.DepthwiseConv1D`: a kernel for each feature, over positions."""

    kernel: int
    activation: str = "linear"
    use_bias: bool = True

    def cost(self, read: list[Tensor]) -> Cost:
        length, features = shape_of(read, 2)
        weights = self.kernel * features
        return Cost(
            tensor(length, features),
            params=weights + self.use_bias * features,
            flops=2 * length * weights,
        )
