"""What a family is: knobs, and a function from knobs and a task to a blueprint."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from kscale.errors import SpecError, unknown_name
from kscale.networks.blueprint import Blueprint, Dense, Layer
from kscale.networks.sizing import Size, size_of
from kscale.task.tasks import InputKind, Task

Value = int | float | str | bool

_KINDS = {
    int: "a whole number",
    float: "a number",
    str: "a name",
    bool: "true or false",
}


@dataclass(frozen=True)
class Knob:
    """One setting of a family, with what a search tries.

    Args:
        name: Name in specs, on the command line and in reports.
        default: Value unless it is named.
        values: Values a search tries, in ascending order where there is one.
        meaning: What the knob does, in half a sentence.
        low: Least number that makes sense; None if `values` are all there are.
        high: Greatest number that makes sense.
        shapes: Whether it can change the size; such knobs are listed with exact sizes,
            others are only drawn.
        suited: Values that a search tries for a task, where they depend on it.
        is_open: Whether any other name will do, such as the path of a file.
    """

    name: str
    default: Value
    values: tuple[Value, ...]
    meaning: str
    low: float | None = None
    high: float = 1e9
    shapes: bool = True
    suited: Callable[[Task], tuple[Value, ...]] | None = None

    def values_for(self, task: Task) -> tuple[Value, ...]:
        """Values that a search tries for a task."""
        return self.values if self.suited is None else self.suited(task)

    is_open: bool = False

    def check(self, value: Any) -> Value:
        """The value in the knob's type.

        Raises:
            SpecError: It is of another type, not from `low` to `high`, or not among
                `values`.
        """
        converted = self._convert(value)
        if self.low is None:
            if converted not in self.values and not self.is_open:
                known = ", ".join(str(item) for item in self.values)
                raise SpecError(f"`{self.name}` is one of {known}, not {value!r}.")
        elif not self.low <= float(converted) <= self.high:
            raise SpecError(
                f"`{self.low:g} <= {self.name} <= {self.high:g}` must hold, but got "
                f"{self.name}={converted}."
            )
        return converted

    def _convert(self, value: Any) -> Value:
        kind = type(self.default)
        try:
            if kind is bool:
                return {"true": True, "false": False}[str(value).lower()]
            if isinstance(value, bool):
                raise ValueError
            if kind is int and float(value) != int(float(value)):
                raise ValueError
            return kind(float(value)) if kind is int else kind(value)
        except (ValueError, TypeError, KeyError, OverflowError) as error:
            raise SpecError(
                f"`{self.name}` must be {_KINDS[kind]}, but got {value!r}."
            ) from error


TRAINING_KNOBS = (
    Knob(
        "weight_decay",
        0.004,
        (0.0, 0.001, 0.004, 0.016, 0.064),
        "AdamW's decoupled weight decay; not on biases and norms",
        low=0.0,
        high=10.0,
        shapes=False,
    ),
    Knob(
        "label_smoothing",
        0.0,
        (0.0, 0.05, 0.1, 0.2),
        "share of the label spread over all classes",
        low=0.0,
        high=0.95,
        shapes=False,
    ),
)


def learning_rate_knob(default: float, low: float, high: float) -> Knob:
    """A learning rate searched over seven values, evenly spaced in its logarithm."""
    step = (high / low) ** (1 / 6)
    values = tuple(float(f"{low * step**i:.2g}") for i in range(7))
    meaning = "Adam's largest learning rate"
    return Knob(
        "learning_rate", default, values, meaning, low=1e-9, high=10.0, shapes=False
    )


def depth_knob(default: int, values: tuple[int, ...], meaning: str) -> Knob:
    """The depth of a family."""
    return Knob("depth", default, values, meaning, low=1, high=10_000)


def width_knob(default: int, high: int, meaning: str) -> Knob:
    """The width of a family: multiples of 8, from 32 on in steps of a quarter."""
    values = [*range(8, 32, 8)]
    octave = 32
    while octave <= high:
        values += [octave + i * octave // 4 for i in range(4)]
        octave *= 2
    fitting = tuple(value for value in values if value <= high)
    return Knob("width", default, fitting, meaning, low=1, high=1_000_000)


@dataclass(frozen=True)
class Spec:
    """One point of a family: everything that decides the network and its training,
    but for the learning rate and the seed.

    Args:
        family: Name of the family.
        knobs: Names and values of all its knobs, sorted by name.
    """

    family: str
    knobs: tuple[tuple[str, Value], ...]

    def __getitem__(self, name: str) -> Value:
        return dict(self.knobs)[name]

    @property
    def depth(self) -> int:
        """Depth, as the family counts it; 0 where it has none."""
        return int(dict(self.knobs).get("depth", 0))

    @property
    def width(self) -> int | None:
        """Width, as the family counts it; None where it has none."""
        width = dict(self.knobs).get("width")
        return None if width is None else int(width)

    @property
    def label(self) -> str:
        """Family, depth and width in a few characters: `mlp 3 x 64`."""
        if is_own(self.family) and not (self.depth and self.width):
            parts = {"depth": self.depth, "width": self.width}
            shown = [f"{name} {value}" for name, value in parts.items() if value]
            return " ".join([self.family, *shown])
        if self.width is None:
            return f"{self.family} {self.backbone}".strip()
        return f"{self.family} {self.depth} x {self.width}"

    def with_knobs(self, **knobs: Value) -> "Spec":
        """This spec with other values of some knobs, which are not checked."""
        changed = {**dict(self.knobs), **knobs}
        return Spec(self.family, tuple(sorted(changed.items())))

    @property
    def backbone(self) -> str:
        """Name of the network it starts from; empty where there is none."""
        return str(dict(self.knobs).get("backbone", ""))

    def to_json(self) -> dict[str, Any]:
        """Plain data that `from_json` reads back."""
        return {"family": self.family, **dict(self.knobs)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Spec":
        """The spec that `to_json` described."""
        knobs = {name: value for name, value in data.items() if name != "family"}
        return cls(data["family"], tuple(sorted(knobs.items())))


@dataclass(frozen=True)
class Family:
    """A kind of network that has a depth and a width.

    Args:
        name: Name on the command line and in specs.
        summary: What it is and is for, in one line.
        depth_counts: What one step of depth adds.
        width_counts: What the width is the number of.
        kinds: Kinds of input it takes.
        knobs: What can be set, the depth and the width first.
        learning_rate: Adam's learning rate, with the values a search tries.
        network: From a task and the knobs (by name) to a blueprint.
    """

    name: str
    summary: str
    depth_counts: str
    width_counts: str
    kinds: tuple[InputKind, ...]
    knobs: tuple[Knob, ...]
    learning_rate: Knob
    network: Callable[..., Blueprint]

    @property
    def all_knobs(self) -> dict[str, Knob]:
        """Knobs by name, those of training included, the learning rate not."""
        return {knob.name: knob for knob in (*self.knobs, *TRAINING_KNOBS)}

    def knob(self, name: str) -> Knob:
        """A knob by name, the learning rate included.

        Raises:
            SpecError: The family has no such knob.
        """
        known = {**self.all_knobs, "learning_rate": self.learning_rate}
        if name not in known:
            raise SpecError(unknown_name(f"knob of {self.name}", name, known))
        return known[name]

    def spec(self, **knobs: Any) -> Spec:
        """A spec of this family; knobs not named keep their default.

        Raises:
            SpecError: A knob is unknown or its value makes no sense.
        """
        chosen = {name: knob.default for name, knob in self.all_knobs.items()}
        for name, value in knobs.items():
            if name not in chosen:
                raise SpecError(unknown_name(f"knob of {self.name}", name, chosen))
            chosen[name] = self.all_knobs[name].check(value)
        return Spec(self.name, tuple(sorted(chosen.items())))

    def blueprint(self, spec: Spec, task: Task) -> Blueprint:
        """The network of a spec for a task.

        Raises:
            SpecError: The family cannot take the task's inputs.
        """
        return self.blueprint_of(dict(spec.knobs), task)

    def blueprint_of(self, knobs: Mapping[str, Any], task: Task) -> Blueprint:
        """The network of knobs given by name; the width may be an int64 array.

        Those that a spec of an earlier version lacks have their default.
        """
        self.check_task(task)
        own = {knob.name: knobs.get(knob.name, knob.default) for knob in self.knobs}
        return self.network(task, **own)

    def size(self, spec: Spec, task: Task) -> Size:
        """Exact size of a spec's network for a task."""
        return size_of(self.blueprint(spec, task))

    def check_task(self, task: Task) -> None:
        """Raise unless the family takes the task's inputs.

        Raises:
            SpecError: It does not; the text names the kinds it takes.
        """
        kinds = [item.kind for item in task.inputs]
        if any(kind not in self.kinds for kind in kinds):
            raise SpecError(
                f"Family {self.name} takes {' or '.join(self.kinds)} inputs, but the "
                f"data has {' and '.join(kinds)}."
            )


def is_own(family: str) -> bool:
    """Whether a family's name, `module:name`, is of models that the user wrote.

    Example:

    >>> is_own("my_models:build"), is_own("mlp")
    (True, False)
    """
    return ":" in family


def with_heads(task: Task, layers: list[Layer]) -> Blueprint:
    """A blueprint that ends in one dense layer a target, or in the last layer's output.

    Classes come as logits. The layer is named `head`, or `head/<target>` if there are
    several.
    """
    if not task.targets:
        return Blueprint(task.inputs, tuple(layers), (layers[-1].name,))
    trunk = (layers[-1].name if layers else task.inputs[0].name,)
    heads = [
        Dense(target.outputs, name=name, inputs=trunk)
        for target, name in zip(task.targets, head_names(task), strict=True)
    ]
    outputs = tuple(head.name for head in heads)
    return Blueprint(task.inputs, (*layers, *heads), outputs)


def head_names(task: Task) -> list[str]:
    """Names of the output layers, in the order of the targets."""
    if len(task.targets) == 1:
        return ["head"]
    return [f"head/{target.name}" for target in task.targets]
