"""A user's models as a space to draw from, as a family is."""

import logging
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import keras
import keras_tuner
import msgspec

from kscale.errors import SpecError, TrialError, unknown_name
from kscale.guests.hypermodels.drawn_hyperparameters import (
    RESERVED,
    DrawnHyperParameters,
    Values,
    domain_of,
    knob_name,
)
from kscale.guests.hypermodels.user_code import load_hypermodel, place_of
from kscale.guests.hypermodels.user_outputs import check_sides
from kscale.guests.sizes.model_size import count_build
from kscale.networks.families.base import Spec, Value
from kscale.networks.sizing import Size
from kscale.runs.folder import write_atomically
from kscale.search.contract import derived_seed
from kscale.search.drawn import Aim, Drawn
from kscale.task.tasks import Task

logger = logging.getLogger(__name__)


class _Line(msgspec.Struct):
    """A line of the file of sizes: the seed and the index of a draw, what it gave."""

    seed: int
    draw: int
    drawn: Drawn


class UserModels:
    """The models of a hypermodel, for a task.

    Reports show the hyperparameters `depth_knob` and `width_knob` as depth and width;
    by default hyperparameters that are named so, if they are whole.

    Attributes:
        probe: Asks for the hyperparameters of a training, after its model is counted.
        refused: Arguments that the user's `fit` does not take.
        has_default_fit: Whether the user left `fit` as KerasTuner has it.
    """

    def __init__(
        self,
        hypermodel: Any,
        task: Task,
        depth_knob: str | None = None,
        width_knob: str | None = None,
    ) -> None:
        code = load_hypermodel(hypermodel)
        self.name, self.hypermodel = code.name, code.hypermodel
        self.importable = code.importable
        self.digest = code.digest()
        self.place = code.place()
        self.has_default_fit = type(code.hypermodel).fit is keras_tuner.HyperModel.fit
        self.task = task
        self.knobs = {"depth": depth_knob or "depth", "width": width_knob or "width"}
        self.probe: Callable[[DrawnHyperParameters], None] | None = None
        self.refused: set[str] = set()
        self._tree: dict[Values, Any] = {}  # by values so far, what is asked for next
        self._asked: dict[str, Any] = {}  # each hyperparameter once
        self._by_values: dict[Values, Drawn] = {}
        self._by_draw: dict[tuple[int, int], Drawn] = {}
        self._by_spec: dict[Spec, Drawn] = {}
        self._sizes: Path | None = None

    def draw(self, seed: int, index: int, aim: Aim | None = None) -> Drawn:
        """A draw; the first one has the default of every hyperparameter."""
        drawn = self._by_draw.get((seed, index))
        if drawn is None:
            drawn = self._drawn(seed, index, aim)
            self._by_draw[seed, index] = drawn
            if self._sizes is not None:
                with self._sizes.open("ab") as file:
                    file.write(_line(seed, index, drawn))
        self._by_spec[drawn.spec] = drawn
        return drawn

    def read(self, path: Path) -> None:
        """Take sizes that an earlier session counted, as far as lines are whole."""
        lines = path.read_bytes().split(b"\n") if path.is_file() else []
        for number, line in enumerate(lines, start=1):
            try:
                read = msgspec.json.decode(line or b"null", type=_Line | None)
            except msgspec.MsgspecError as error:
                logger.warning(
                    "%s, line %d is damaged and counted again: %s", path, number, error
                )
            else:
                if read is not None:
                    self._by_draw.setdefault((read.seed, read.draw), read.drawn)

    def keep(self, path: Path) -> None:
        """Write all sizes to a file now, and from now on what is counted."""
        lines = [_line(*key, drawn) for key, drawn in self._by_draw.items()]
        write_atomically(path, b"".join(lines))
        self._sizes = path

    def begin(self) -> list[list[Any]]:
        """Count the model of the defaults, also if an earlier session did, and give its
        hyperparameters with the values that each may have."""
        self._count(DrawnHyperParameters)
        outline = {asked.name: domain_of(asked) for asked in self._asked.values()}
        return [[name, values] for name, values in outline.items()]

    def domains(self) -> dict[str, list[Value]]:
        """Values that each knob seen so far may have: all, or both ends of a range."""
        found: dict[str, list[Value]] = {}
        for asked in self._asked.values():
            known = found.setdefault(self._knob(asked.name, asked.default), [])
            known += [v for v in domain_of(asked) if v not in known]
        return found

    def check_knobs(self) -> None:
        """Raise unless depth and width are hyperparameters of the draws, and whole."""
        seen = {asked.name: asked.default for asked in self._asked.values()}
        for what, name in self.knobs.items():
            if name == what:
                continue
            if name not in seen:
                raise SpecError(unknown_name("hyperparameter", name, seen))
            if type(seen[name]) is not int:
                raise SpecError(
                    f"`{what}_knob` must name whole numbers, but {name} may be "
                    f"{seen[name]!r}."
                )

    def counted(self, spec: Spec) -> tuple[Size, tuple[str, ...]]:
        """Exact size of a spec, and its layers of unknown FLOPs."""
        if spec not in self._by_spec:
            self._by_spec[spec] = self._count(
                partial(DrawnHyperParameters, None, self.values(spec))
            )
        drawn = self._by_spec[spec]
        if drawn.size is None:
            raise SpecError(drawn.reason)
        return drawn.size, drawn.unknown

    def build(self, spec: Spec, seed: int) -> tuple[keras.Model, Any]:
        """The model of a spec with new weights, and its hyperparameters."""
        keras.utils.set_random_seed(seed)
        # A training may ask for hyperparameters that the probe did not come to.
        hp = DrawnHyperParameters(derived_seed(0, "fit", spec.knobs), self.values(spec))
        with self.importable():
            model = self.hypermodel.build(hp)
        if not isinstance(model, keras.Model):
            raise SpecError(f"{self.name} built {model!r}, which is no Keras model.")
        return model, hp

    def values(self, spec: Spec) -> dict[str, Value]:
        """Hyperparameters of a spec by the names they have in the user's code."""
        return {self._name(knob): value for knob, value in spec.knobs}

    def _name(self, knob: str) -> str:
        names = dict(self.knobs) | {f"{name}_": name for name in RESERVED}
        return names.get(knob, knob)

    def _knob(self, name: str, value: Value) -> str:
        return knob_name(name, value, {name: knob for knob, name in self.knobs.items()})

    def _drawn(self, seed: int, index: int, aim: Aim | None) -> Drawn:
        """A draw that no earlier session counted."""

        def named(found: Mapping[str, Any]) -> dict[str, Any]:
            return {self._name(knob): each for knob, each in found.items()}

        aim = aim or Aim(index, {})
        place = derived_seed(seed, "draw", aim.draw) if aim.draw else None
        asked = partial(
            DrawnHyperParameters, place, named(aim.known), aim.reach, named(aim.places)
        )
        return self._known(asked()) or self._count(asked)

    def _known(self, hp: DrawnHyperParameters) -> Drawn | None:
        """The earlier draw of the same values, or None; nothing is built."""
        values: Values = ()
        while values not in self._by_values and values in self._tree:
            asked = self._tree[values]
            values = (*values, (asked.name, hp.value_of(asked)))
        return self._by_values.get(values)

    def _count(self, asked: Callable[[], DrawnHyperParameters]) -> Drawn:
        """Count the model of a draw, and remember the hyperparameters it asked for."""
        hp, model = asked(), None

        def build() -> Any:
            nonlocal hp, model
            hp = asked()
            model = self.hypermodel.build(hp)
            return model

        size, reason, unknown = None, "", tuple[str, ...]()
        try:
            with self.importable():
                counted = count_build(build, self.task)
            check_sides(model, self.task)
        except (SpecError, TrialError) as error:
            reason = f"{error}".rstrip(".") + (place_of(error.__cause__) or self.place)
        else:
            size, unknown = counted.size, counted.unknown
            if self.probe is not None:
                self.probe(hp)
        found = hp.in_order
        for place, item in enumerate(hp.asked):
            self._tree[found[:place]] = self._asked.setdefault(repr(item), item)
        knobs = {self._knob(name, value): value for name, value in found}
        spec = Spec(self.name, tuple(sorted(knobs.items())))
        drawn = Drawn(spec, size, reason, unknown)
        self._by_values[found] = drawn
        return drawn


def _line(seed: int, draw: int, drawn: Drawn) -> bytes:
    return msgspec.json.encode(_Line(seed, draw, drawn)) + b"\n"
