"""A user's models as something to draw from: what a family is to a search."""

from collections.abc import Callable, Mapping
from typing import Any

import keras

from kscale.errors import SpecError, TrialError, unknown_name
from kscale.guests.hypermodels.code_digest import digest_of
from kscale.guests.hypermodels.counts import Counted, Counts
from kscale.guests.hypermodels.drawn_hyperparameters import (
    RESERVED,
    DrawnHyperParameters,
    Values,
    domain_of,
    knob_name,
)
from kscale.guests.hypermodels.user_code import load_hypermodel, place_of
from kscale.guests.sizes.weightless import count_build
from kscale.networks.families.base import Spec, Value
from kscale.networks.sizing import Size
from kscale.search.contract import derived_seed
from kscale.search.drawn import Drawn
from kscale.task.tasks import Task


class UserModels:
    """The models of a hypermodel, for a task.

    Args:
        hypermodel: As `load_hypermodel` takes it.
        task: What the models must take in and put out.
        depth_knob, width_knob: Hyperparameters that reports show as depth and width;
            without them those of the names `depth` and `width`, if they are whole.

    Attributes:
        probe: Called with the hyperparameters of a model that was counted, to ask for
            those of its training.
        refused: Arguments that the user's `fit` does not take.
        importable: In its context the modules beside the user's are found.
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
        self.digest = digest_of(self.hypermodel)
        self.task = task
        self.knobs = {"depth": depth_knob or "depth", "width": width_knob or "width"}
        self.probe: Callable[[DrawnHyperParameters], None] | None = None
        self.counts = Counts()
        self.refused: set[str] = set()
        self._tree: dict[Values, Any] = {}  # by values so far, what is asked for next
        self._counted: dict[Values, Counted] = {}
        self._specs: dict[Spec, Counted] = {}
        self._outline: dict[str, list[Value]] = {}

    def draw(self, seed: int, index: int) -> Drawn:
        """A draw; the first one has the default of every hyperparameter."""
        counted = self.counts.by_draw.get((seed, index))
        if counted is None:
            drawn = derived_seed(seed, "draw", index) if index else None
            counted = self._known(drawn) or self._count(drawn)
            self.counts.add(seed, index, counted)
        spec = self._spec(counted.values)
        self._specs[spec] = counted
        return Drawn(spec, counted.size, counted.reason, counted.unknown)

    def begin(self) -> None:
        """Build abstractly at the defaults, whatever an earlier session counted."""
        self._count(None)
        self._outline = {each.name: domain_of(each) for each in self._tree.values()}

    def outline(self) -> list[list[Any]]:
        """Hyperparameters at their defaults, with the values that each may have."""
        return [[name, values] for name, values in self._outline.items()]

    def domains(self) -> dict[str, list[Value]]:
        """Values that each knob seen so far may have: all, or both ends of a range."""
        found: dict[str, list[Value]] = {}
        for asked in self._tree.values():
            known = found.setdefault(self._knob(asked.name, asked.default), [])
            known += [v for v in domain_of(asked) if v not in known]
        return found

    def check_knobs(self) -> None:
        """Raise unless depth and width are hyperparameters of the draws, and whole."""
        seen = {asked.name: asked.default for asked in self._tree.values()}
        seen |= {n: v for c in self.counts.by_draw.values() for n, v in c.values}
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

    def size(self, spec: Spec) -> Size:
        """Exact size of a spec.

        Raises:
            SpecError: The spec makes no model.
        """
        size = self._made(spec).size
        if size is None:
            raise SpecError(self._made(spec).reason)
        return size

    def unknown(self, spec: Spec) -> tuple[str, ...]:
        """Layers of unknown FLOPs."""
        return self._made(spec).unknown

    def _made(self, spec: Spec) -> Counted:
        if spec not in self._specs:
            self._specs[spec] = self._count(None, self.values(spec))
        return self._specs[spec]

    def learning_rate(self, spec: Spec, is_compiled: bool) -> float:
        """The hyperparameter `learning_rate`; without it 0.001, or 0 (not known) of a
        model that the user compiles."""
        rate = dict(spec.knobs).get("learning_rate")
        if isinstance(rate, int | float) and not isinstance(rate, bool) and rate > 0:
            return float(rate)
        return 0.0 if is_compiled else 0.001

    def build(self, spec: Spec, seed: int) -> tuple[keras.Model, Any]:
        """The model of a spec with new weights, and its hyperparameters.

        Raises:
            SpecError: The spec makes no model.
        """
        keras.utils.set_random_seed(seed)
        # A training may ask for hyperparameters that the probe did not come to.
        drawn = derived_seed(0, "fit", spec.knobs)
        hp = DrawnHyperParameters(drawn, self.values(spec))
        with self.importable():
            model = self.hypermodel.build(hp)
        if not isinstance(model, keras.Model):
            raise SpecError(f"{self.name} built {model!r}, which is no Keras model.")
        return model, hp

    def values(self, spec: Spec) -> dict[str, Value]:
        """Hyperparameters of a spec by the names they have in the user's code."""
        names = dict(self.knobs) | {f"{name}_": name for name in RESERVED}
        return {names.get(knob, knob): value for knob, value in spec.knobs}

    def _spec(self, values: Values) -> Spec:
        knobs = {self._knob(name, value): value for name, value in values}
        return Spec(self.name, tuple(sorted(knobs.items())))

    def _knob(self, name: str, value: Value) -> str:
        return knob_name(name, value, {name: knob for knob, name in self.knobs.items()})

    def _known(self, seed: int | None) -> Counted | None:
        """The model of a draw that takes the way of an earlier draw; none is built."""
        hp = DrawnHyperParameters(seed)
        values: Values = ()
        while values not in self._counted and values in self._tree:
            asked = self._tree[values]
            values = (*values, (asked.name, hp.drawn(asked)))
        return self._counted.get(values)

    def _count(
        self, seed: int | None, values: Mapping[str, Value] | None = None
    ) -> Counted:
        """Build abstractly, and remember what was asked for on the way."""
        hp = DrawnHyperParameters(seed, values)

        def build() -> Any:
            nonlocal hp
            hp = DrawnHyperParameters(seed, values)
            return self.hypermodel.build(hp)

        try:
            with self.importable():
                found = count_build(build, self.task)
        except (SpecError, TrialError) as error:
            reason = f"{error}".rstrip(".") + place_of(error.__cause__)
            counted = Counted(hp.in_order, reason=reason)
        else:
            if self.probe is not None:
                self.probe(hp)
            counted = Counted(hp.in_order, found.size, found.unknown)
        for place, asked in enumerate(hp.asked):
            self._tree[counted.values[:place]] = asked
        self._counted[counted.values] = counted
        return counted
