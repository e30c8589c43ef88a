"""A user's models as something to draw from: what a family is to a search."""

from collections.abc import Callable, Mapping
from typing import Any

import keras

from kscale.errors import SpecError, TrialError, unknown_name
from kscale.guests.hypermodels.counts import Counted, Counts
from kscale.guests.hypermodels.draws import DrawingHyperParameters, Values, domain_of
from kscale.guests.hypermodels.hyperparameters import digest_of
from kscale.guests.hypermodels.user_code import load_hypermodel, place_of
from kscale.guests.sizes.weightless import count_build
from kscale.networks.families.base import Spec, Value
from kscale.networks.sizing import Size
from kscale.search.contract import derived_seed
from kscale.search.drawn import Drawn
from kscale.task.tasks import Task

LEARNING_RATE = "learning_rate"
DEFAULT_RATE = 0.001
"""Learning rate of models that are not compiled and have none among their values."""

_RESERVED = ("family", "depth", "width")


class OwnModels:
    """The models of a hypermodel, for a task.

    Args:
        hypermodel: As `load_hypermodel` takes it.
        task: What the models must take in and put out.
        depth_knob, width_knob: Hyperparameters that reports show as depth and width;
            without them those of the names `depth` and `width`, if they are whole.

    Attributes:
        probe: Called with the hyperparameters of a model that was counted, to ask for
            those of its training.
        unknown: Layers of unknown FLOPs of the specs whose size is known.
        refused: Arguments that its `fit` does not take.
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
        self.probe: Callable[[DrawingHyperParameters], None] | None = None
        self.counts = Counts()
        self.all_knobs: Mapping[str, Any] = {}
        self._tree: dict[Values, Any] = {}
        self._counted: dict[Values, Counted] = {}
        self._sizes: dict[Spec, Size] = {}
        self.unknown: dict[Spec, tuple[str, ...]] = {}
        self._outline: dict[str, list[Value]] = {}
        self.refused: set[str] = set()

    def draw(self, seed: int, index: int) -> Drawn:
        """A draw; the first one has the default of every hyperparameter."""
        counted = self.counts.by_draw.get((seed, index))
        if counted is None:
            drawn = derived_seed(seed, "draw", index) if index else None
            counted = self._known(drawn) or self._count(drawn)
            self.counts.add(seed, index, counted)
        return self._drawn(counted)

    def begin(self) -> None:
        """Build abstractly at the defaults, whatever an earlier session counted."""
        self._count(None)
        self._outline = {each.name: domain_of(each) for each in self._tree.values()}

    def outline(self) -> list[list[Any]]:
        """Hyperparameters at their defaults, with what each may be."""
        return [[name, values] for name, values in self._outline.items()]

    def domains(self) -> dict[str, list[Value]]:
        """What every knob seen so far may be: a list, or both ends of a range."""
        found: dict[str, list[Value]] = {}
        for asked in self._tree.values():
            known = found.setdefault(self._knob(asked.name, asked.default), [])
            known += [v for v in domain_of(asked) if v not in known]
        return found

    def check_knobs(self, all_known: bool = True) -> None:
        """Raise unless depth and width are hyperparameters, and whole.

        Args:
            all_known: Whether one that no draw has asked for yet is refused.

        Raises:
            SpecError: One of them is not; known are those of the draws so far.
        """
        seen = {asked.name: asked.default for asked in self._tree.values()}
        seen |= {n: v for c in self.counts.by_draw.values() for n, v in c.values}
        for what, name in self.knobs.items():
            if name == what or not (name in seen or all_known):
                continue
            if name not in seen:
                raise SpecError(unknown_name("hyperparameter", name, seen))
            if type(seen[name]) is not int:
                raise SpecError(
                    f"`{what}_knob` must name whole numbers, but {name} may be "
                    f"{seen[name]!r}."
                )

    def size(self, spec: Spec, task: Task | None = None) -> Size:
        """Exact size of a spec.

        Raises:
            SpecError: It makes no model.
        """
        if spec not in self._sizes:
            counted = self._count(None, self.values(spec))
            if counted.size is None:
                raise SpecError(counted.reason)
            self._sizes[spec] = counted.size
            self.unknown[spec] = counted.unknown
        return self._sizes[spec]

    def build(self, spec: Spec, seed: int) -> tuple[keras.Model, Any]:
        """The model of a spec with new weights, and its hyperparameters.

        Raises:
            SpecError: It makes no model.
        """
        keras.utils.set_random_seed(seed)
        # What only a training asks for, though not when it was tried, is drawn too.
        drawn = derived_seed(0, "fit", spec.knobs)
        hp = DrawingHyperParameters(drawn, self.values(spec))
        with self.importable():
            model = self.hypermodel.build(hp)
        if not isinstance(model, keras.Model):
            raise SpecError(f"{self.name} built {model!r}, which is no Keras model.")
        return model, hp

    def values(self, spec: Spec) -> dict[str, Value]:
        """Hyperparameters of a spec by the names they have in the user's code."""
        names = {knob: name for knob, name in self.knobs.items()}
        names |= {f"{name}_": name for name in _RESERVED}
        return {names.get(knob, knob): value for knob, value in spec.knobs}

    def _drawn(self, counted: Counted) -> Drawn:
        spec = self._spec(counted.values)
        if counted.size is not None:
            self._sizes[spec] = counted.size
            self.unknown[spec] = counted.unknown
        rate = dict(counted.values).get(LEARNING_RATE)
        is_rate = isinstance(rate, int | float) and not isinstance(rate, bool)
        usual = 0.0 if counted.is_compiled else DEFAULT_RATE
        return Drawn(
            spec,
            counted.size,
            float(rate) if is_rate and rate > 0 else usual,  # type: ignore[arg-type, operator]
            counted.reason,
            counted.unknown,
        )

    def _spec(self, values: Values) -> Spec:
        """A spec; what is named as its parts are, but is not meant, gets a `_`."""
        knobs = {self._knob(name, value): value for name, value in values}
        return Spec(self.name, tuple(sorted(knobs.items())))

    def _knob(self, name: str, value: Value) -> str:
        shown = {name: knob for knob, name in self.knobs.items()}
        if name in shown and type(value) is int:
            return shown[name]
        return f"{name}_" if name in _RESERVED else name

    def _known(self, seed: int | None) -> Counted | None:
        """What a draw gives if it goes where another went before; nothing is built."""
        hp = DrawingHyperParameters(seed)
        values: Values = ()
        while values not in self._counted and values in self._tree:
            asked = self._tree[values]
            values = (*values, (asked.name, hp.drawn(asked)))
        return self._counted.get(values)

    def _count(
        self, seed: int | None, values: Mapping[str, Value] | None = None
    ) -> Counted:
        """Build abstractly, and remember what was asked for on the way."""
        built: list[tuple[DrawingHyperParameters, bool]] = []

        def build() -> Any:
            hp = DrawingHyperParameters(seed, values)
            built.append((hp, False))
            model = self.hypermodel.build(hp)
            built.append((hp, bool(getattr(model, "compiled", False))))
            return model

        try:
            with self.importable():
                counted = count_build(build, self.task)
        except (SpecError, TrialError) as error:
            hp, _ = built[-1]
            reason = f"{error}".rstrip(".") + place_of(error.__cause__)
            return self._remember(hp, Counted(hp.in_order, reason=reason))
        hp, is_compiled = built[-1]
        if self.probe is not None:
            self.probe(hp)
        done = Counted(hp.in_order, counted.size, is_compiled, counted.unknown)
        return self._remember(hp, done)

    def _remember(self, hp: DrawingHyperParameters, counted: Counted) -> Counted:
        for place, asked in enumerate(hp.asked):
            self._tree[counted.values[:place]] = asked
        self._counted[counted.values] = counted
        return counted
