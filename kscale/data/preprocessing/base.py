"""Preprocessing: what stands between raw inputs and a network, as plain data."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from kscale.data.by_kind import ByKind
from kscale.data.example_rows import ComputedRows, Rows
from kscale.task.tasks import Input, Target

RawType = Literal["float32", "int32", "string"]


@dataclass(frozen=True)
class RawInput:
    """One input of the model that ships, in the form that files or users have.

    The name is also the key of the raw array; the shape is that of one example without
    the batch, `()` for a text or a number.
    """

    name: str
    shape: tuple[int, ...]
    dtype: RawType = "float32"


@dataclass(frozen=True)
class Preprocessing(ByKind):
    """From raw inputs to one input of the network, fitted on the training part.

    The record is read twice, as a blueprint is: `apply` computes in NumPy for training,
    and `kscale.ship.preprocessing_layers` makes stock Keras layers for the model that
    ships. Both give the same numbers.
    """

    is_cheap: ClassVar[bool] = False
    """Whether `apply` is fast enough to run again whenever a batch is read."""

    @property
    def raw_inputs(self) -> tuple[RawInput, ...]:
        """The raw inputs that are read."""
        raise NotImplementedError

    @property
    def notes(self) -> tuple[str, ...]:
        """What was understood of the training part, one sentence each."""
        return ()

    @property
    def word_vectors(self) -> NDArray[np.float32] | None:
        """What embeddings of the input start from, `(ids, numbers)`, NaN where ids
        start at random; None where all do."""
        return None

    @property
    def files(self) -> Mapping[str, bytes]:
        """What programs without kscale need beside a model that takes no raw inputs, by
        the end of a file's name."""
        return {}

    def apply(self, raw: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
        """Inputs of the network for raw examples by name, `(examples, *shape)`."""
        raise NotImplementedError

    def variant(
        self, seen: Input, view: Mapping[str, int], train: Mapping[str, Rows]
    ) -> "Preprocessing":
        """What makes an input, or labels, as a network of another view sees them.

        Args:
            seen: The input or the target in that view.
            view: Knobs of `kscale.networks.views`.
            train: The raw training part by name, to fit to.
        """
        return self

    def rows(self, seen: Input, inputs: Rows, raw: Mapping[str, Rows]) -> ComputedRows:
        """Inputs of a variant, not yet computed.

        Args:
            seen: The input in the view of the variant.
            inputs: Inputs of the same examples with all that there is to see.
            raw: The raw examples by name, as far as they are kept.
        """
        read = {item.name: raw[item.name] for item in self.raw_inputs}
        return ComputedRows(self.apply, read, seen.shape, seen.dtype)


@dataclass(frozen=True)
class OfOneInput(Preprocessing):
    """A preprocessing that reads one raw input."""

    raw: RawInput

    @property
    def raw_inputs(self) -> tuple[RawInput, ...]:
        return (self.raw,)


class Fit:
    """How one input of the network is made from raw inputs."""

    def known_input(self) -> Input | None:
        """The input, or None if the training part must be seen first."""
        return None

    def fit(self, train: Mapping[str, Rows]) -> tuple[Input, Preprocessing]:
        """The input and its preprocessing, fitted on the raw training part by name."""
        raise NotImplementedError


class LabelFit:
    """How the labels of a target are made from raw texts."""

    def fit(self, train: Mapping[str, Rows]) -> tuple[Target, Preprocessing]:
        """The target and what makes its labels, fitted on the raw training part by
        name, in which texts of targets stand beside raw inputs."""
        raise NotImplementedError

    def examples(self, raw: Mapping[str, Rows]) -> Mapping[str, Rows]:
        """The examples of a part, of what a source has, by name: a text may become
        several. Asked after `fit`."""
        return raw
