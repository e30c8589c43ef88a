"""Layer records of decoders: tables that several layers read, and sinusoids."""

from dataclasses import dataclass

from kscale.networks.blueprint import Count, Layer
from kscale.networks.layer_costs import Cost, Tensor, shape_of, tensor


@dataclass(frozen=True)
class SharedEmbedding(Layer):
    """Ids `(length,)` into `(length, width)` by the table of an earlier `Embedding`.

    Args:
        table: Path of the embedding, which says that others read the table.
        width: Features of an id.
    """

    table: str
    width: Count

    def cost(self, read: list[Tensor]) -> Cost:
        return Cost(tensor(shape_of(read, 1)[0], self.width))


@dataclass(frozen=True)
class TiedDense(Layer):
    """`(length, width)` into `(length, units)`: products with the rows of a table.

    There is no bias (Press & Wolf 2017).

    Args:
        table: Path of an earlier `Embedding`, which says that others read the table.
        units: Number of rows.
    """

    table: str
    units: int

    def cost(self, read: list[Tensor]) -> Cost:
        length, features = shape_of(read, 2)
        return Cost(
            tensor(length, self.units), flops=2 * length * features * self.units
        )


@dataclass(frozen=True)
class Sinusoids(Layer):
    """Numbers of positions `(length,)` into sines and cosines `(length, width)`.

    The wavelengths are those of Vaswani et al. 2017, section 3.5; all sines come before
    all cosines.
    """

    width: Count

    def cost(self, read: list[Tensor]) -> Cost:
        output = tensor(shape_of(read, 1)[0], self.width)
        return Cost(output, inner=output.bytes, kept=0)  # sines and cosines apart
