"""Budget: what a user can afford."""

from dataclasses import dataclass, fields
from numbers import Real
from typing import Any

from kscale.errors import BudgetError
from kscale.sizing import Size
from kscale.units import format_count


@dataclass(frozen=True)
class Budget:
    """Upper limits on a network's size; a limit that is None does not count.

    Args:
        max_params: Most weights, as `Size.params`.
        max_flops: Most FLOPs of one example forward, as `Size.flops`.
        max_bytes: Most bytes of the weights in float32, as `Size.weight_bytes()`.

    Raises:
        BudgetError: A limit is not a whole number of at least 1.

    Example:

    >>> Budget(max_params=1000).allows(Size(1000, 1000, 0, 0, 0))
    True
    """

    max_params: int | None = None
    max_flops: int | None = None
    max_bytes: int | None = None

    def __post_init__(self) -> None:
        for item in fields(self):
            limit = getattr(self, item.name)
            if limit is None:
                continue
            whole = isinstance(limit, Real) and not isinstance(limit, bool)
            if not (whole and limit >= 1 and limit == limit // 1):
                raise BudgetError(
                    f"`{item.name}` must be a whole number of at least 1, "
                    f"but got {limit!r}."
                )
            object.__setattr__(self, item.name, int(limit))

    def allows(self, size: Size) -> Any:
        """Whether a size is within every limit; an array for a size of arrays."""
        fits: Any = True
        for name, used in self.used(size).items():
            limit = getattr(self, name)
            if limit is not None:
                fits = fits & (used <= limit)
        return fits

    def share(self, size: Size) -> float:
        """The largest part of any limit that a size uses; 0 without limits."""
        used = self.used(size)
        parts = [
            used[name] / limit
            for name, limit in vars(self).items()
            if limit is not None
        ]
        return float(max(parts, default=0.0))

    @staticmethod
    def used(size: Size) -> dict[str, Any]:
        """What a size uses of each limit."""
        return {
            "max_params": size.params,
            "max_flops": size.flops,
            "max_bytes": size.weight_bytes(),
        }

    @property
    def is_limited(self) -> bool:
        """Whether there is any limit."""
        return any(limit is not None for limit in vars(self).values())

    def __str__(self) -> str:
        limits = [
            f"{name}={format_count(limit)}"
            for name, limit in vars(self).items()
            if limit is not None
        ]
        return ", ".join(limits) or "no limit"
