"""Layer records for words: runs of tokens as ids, and convolutions over positions."""

from dataclasses import dataclass
from math import gcd, prod

from kscale.networks.blueprint import Count, Layer
from kscale.networks.layer_costs import Cost, Misfit, Tensor, shape_of, tensor

_STEP = 1.2207440846057596  # x^4 = x + 1
_MOST = 2**31 - 1  # of an int32


@dataclass(frozen=True)
class Ngrams(Layer):
    """Ids `(length,)`, then ids of all pairs of neighbours, of all triples, ...

    The id of a run of tokens `t_1`, `t_2`, ... is `vocabulary + (t_1 * f_1 mod buckets
    + t_2 * f_2 mod buckets + ...) mod buckets` with the `factors` f; that of a run with
    padding (0) in the run is 0. No product leaves int32.

    Args:
        longest: Tokens of the longest runs.
        vocabulary: Number of ids of single tokens.
        buckets: Number of ids that all runs share.
    """

    longest: int
    vocabulary: int
    buckets: int

    @property
    def factors(self) -> tuple[int, ...]:
        """A factor for each place in a run of at most three.

        The factors of frequent tokens, whose ids are small, put runs far apart: shares
        of the buckets that no small numbers make a whole number of (Roberts 2018, the
        sequence R3), and which have no divisor in common with their number.
        """
        most = min(self.buckets, _MOST // self.vocabulary)
        shares = (_STEP**-place for place in range(1, self.longest + 1))
        return tuple(_coprime(int(share * most), self.buckets) for share in shares)

    def cost(self, read: list[Tensor]) -> Cost:
        (length,) = shape_of(read, 1)
        if length < self.longest:
            raise Misfit(f"at least {self.longest} ids")
        return Cost(tensor(sum(length - more for more in range(self.longest))))


def _coprime(most: int, number: int) -> int:
    """The largest number that has no divisor in common with another one."""
    return next((n for n in range(most, 1, -1) if gcd(n, number) == 1), 1)


@dataclass(frozen=True)
class Conv1D(Layer):
    """`keras.layers.Conv1D` on `(length, features)`, as long as the input is."""

    filters: Count
    kernel: int
    activation: str = "linear"
    use_bias: bool = True
    initializer: str = "glorot_uniform"

    def cost(self, read: list[Tensor]) -> Cost:
        length, features = shape_of(read, 2)
        weights = prod((self.kernel, features), start=self.filters)
        return Cost(
            tensor(length, self.filters),
            params=weights + self.use_bias * self.filters,
            flops=2 * length * weights,
        )


@dataclass(frozen=True)
class GlobalMaxPool(Layer):
    """The largest of `(length, features)` over the positions.

    A second input may be a mask `(length,)`, true at the positions that count.
    """

    def cost(self, read: list[Tensor]) -> Cost:
        return Cost(tensor(shape_of(read, 2)[1]))
