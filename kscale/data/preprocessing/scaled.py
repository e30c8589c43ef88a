"""Numbers that are scaled, and token ids that stay as they are."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from kscale.data.preprocessing.base import Preprocessing, RawInput
from kscale.data.scaling import Scaling


@dataclass(frozen=True)
class Scaled(Preprocessing):
    """Images, vectors and sequences: a factor and an offset a feature (last axis)."""

    kind: ClassVar[str] = "scaled"
    is_cheap: ClassVar[bool] = True

    raw: RawInput
    scaling: Scaling

    @property
    def raw_inputs(self) -> tuple[RawInput, ...]:
        """The numbers."""
        return (self.raw,)

    def apply(self, raw: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
        """Scaled numbers, float32."""
        return self.scaling.apply(raw[self.raw.name])

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Scaled":
        """What `to_json` described."""
        scaling = data["scaling"]
        return cls(
            RawInput.from_json(data["raw"]),
            Scaling(tuple(scaling["scale"]), tuple(scaling["offset"])),
        )


@dataclass(frozen=True)
class Unchanged(Preprocessing):
    """Token ids, which a network takes as they are."""

    kind: ClassVar[str] = "unchanged"
    is_cheap: ClassVar[bool] = True

    raw: RawInput

    @property
    def raw_inputs(self) -> tuple[RawInput, ...]:
        """The ids."""
        return (self.raw,)

    def apply(self, raw: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
        """The ids, int32."""
        return raw[self.raw.name].astype(np.int32, copy=False)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Unchanged":
        """What `to_json` described."""
        return cls(RawInput.from_json(data["raw"]))
