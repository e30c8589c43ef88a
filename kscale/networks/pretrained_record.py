"""The layer record of a whole network that somebody else trained."""

from dataclasses import dataclass

from kscale.networks.blueprint import Layer


@dataclass(frozen=True)
class Backbone(Layer):
    """A network of `keras.applications` without its head: an image to `(features,)`.

    The image, grey or RGB, is resized to a square and scaled as the network wants it.

    Args:
        network: Its name in `kscale.networks.backbones`.
        side: Pixels of a side of that square.
        is_tuned: Whether it is trained; if not, its norms work as in inference.
        weights: `imagenet`, `none`, or the path of a file of weights.
        scale, offset: Those of the task's `Input`.
        features, params, flops: What it gives, holds and computes.
        statistics: Params that no training changes.
        inner: Bytes that it needs while it runs, its output left out.
        kept: Bytes of its insides that the backward pass reads.
    """

    network: str
    side: int
    is_tuned: bool
    weights: str
    scale: tuple[float, ...]
    offset: tuple[float, ...]
    features: int
    params: int
    flops: int
    statistics: int
    inner: int
    kept: int
