"""Layer records that change examples at random while a network is trained."""

from dataclasses import dataclass, replace

from kscale.networks.blueprint import Blueprint, Layer


@dataclass(frozen=True)
class RandomShift(Layer):
    """`keras.layers.RandomTranslation`, in training only; borders are repeated.

    Args:
        down: Most of the height by which an image is moved up or down.
        across: Most of the width by which it is moved left or right.
    """

    down: float
    across: float


@dataclass(frozen=True)
class RandomFlip(Layer):
    """`keras.layers.RandomFlip`: half of the images mirrored, in training only."""


@dataclass(frozen=True)
class RandomErase(Layer):
    """`keras.layers.RandomErasing`: a rectangle of zeros, in training only.

    Args:
        most: Largest share of the image that is erased.
    """

    most: float


AUGMENTATIONS = (RandomShift, RandomFlip, RandomErase)
"""Records that change inputs at random; only the next layer reads the output."""


def without_augmentation(blueprint: Blueprint) -> Blueprint:
    """The network as it is used after training.

    The layers of Keras change their inputs whenever a call does not say that nothing is
    trained.
    """
    kept = tuple(r for r in blueprint.layers if not isinstance(r, AUGMENTATIONS))
    return replace(blueprint, layers=kept)
