"""Preprocessing: what stands between raw inputs and a network, as plain data."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal

from numpy.typing import NDArray

RawType = Literal["float32", "int32", "string"]


@dataclass(frozen=True)
class RawInput:
    """One input of the model that ships, as files or users have it.

    Args:
        name: Key of the raw array, and name of the model's input.
        shape: Shape of one example, without the batch; `()` for a text or a number.
        dtype: Type of the model's input.
    """

    name: str
    shape: tuple[int, ...]
    dtype: RawType = "float32"

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "RawInput":
        """The raw input that `dataclasses.asdict` described."""
        return cls(data["name"], tuple(data["shape"]), data["dtype"])


@dataclass(frozen=True)
class Preprocessing:
    """From raw inputs to one input of the network, fitted on the training part.

    It is read twice, as a blueprint is: `apply` computes it in NumPy for training,
    `kscale.ship.preprocessing_layers` makes stock Keras layers of it for the model that
    ships. Both give the same numbers.
    """

    kind: ClassVar[str]
    """Name in `run.json`, and in `kscale.data.preprocessing.PREPROCESSINGS`."""

    is_cheap: ClassVar[bool] = False
    """Whether it may be computed again whenever a batch is read."""

    @property
    def raw_inputs(self) -> tuple[RawInput, ...]:
        """What it reads."""
        raise NotImplementedError

    def apply(self, raw: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
        """Inputs of the network for raw examples by name, `(examples, *shape)`."""
        raise NotImplementedError

    def to_json(self) -> dict[str, Any]:
        """Plain data that `from_json` of the same kind reads back."""
        return {"kind": self.kind, **asdict(self)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Preprocessing":
        """What `to_json` described, `kind` left out."""
        raise NotImplementedError
