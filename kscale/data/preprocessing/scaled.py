"""Numbers that are scaled, and token ids that stay unchanged."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from kscale.data.example_rows import Rows
from kscale.data.preprocessing.base import Fit, OfOneInput, Preprocessing, RawInput
from kscale.data.scaling import Scaling, fit_input_scaling
from kscale.task.tasks import Input


@dataclass(frozen=True)
class Scaled(OfOneInput):
    """Images, vectors and sequences: a factor and an offset a feature (last axis)."""

    kind: ClassVar[str] = "scaled"
    is_cheap: ClassVar[bool] = True

    scaling: Scaling

    def apply(self, raw: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
        return self.scaling.apply(raw[self.raw.name])


@dataclass(frozen=True)
class Unchanged(OfOneInput):
    """Token ids, which a network takes unchanged."""

    kind: ClassVar[str] = "unchanged"
    is_cheap: ClassVar[bool] = True

    def apply(self, raw: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
        return raw[self.raw.name].astype(np.int32, copy=False)


@dataclass(frozen=True)
class ScaledFit(Fit):
    """Numbers of a known shape become standardized; token ids stay unchanged."""

    input: Input

    def known_input(self) -> Input:
        return self.input

    def fit(self, train: Mapping[str, Rows]) -> tuple[Input, Preprocessing]:
        """Mean 0 and standard deviation 1, a feature (last axis) at a time."""
        item = self.input
        if item.kind == "tokens":
            return item, Unchanged(RawInput(item.name, item.shape, "int32"))
        scaling = fit_input_scaling(train[item.name])
        fitted = replace(item, scale=scaling.scale, offset=scaling.offset)
        return fitted, Scaled(RawInput(item.name, item.shape), scaling)
