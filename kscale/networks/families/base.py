"""What a family is: knobs, and a function from knobs and a task to a blueprint."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from kscale.errors import SpecError, unknown_name
from kscale.networks.blueprint import Blueprint, Dense, Dropout, Layer
from kscale.networks.decoder_layers import TiedDense
from kscale.networks.sizing import Size, size_of
from kscale.networks.views import (
    BANDS,
    LEAST_SIDE,
    LEAST_WINDOW,
    WINDOWS,
    bands_for,
    image_sizes_for,
    subwords_for,
    viewed,
    windows_for,
)
from kscale.task.heads import HEADS
from kscale.task.tasks import InputKind, Task
from kscale.text import listed

Value = int | float | str | bool

_KINDS = {
    int: "a whole number",
    float: "a number",
    str: "a name",
    bool: "true or false",
}


@dataclass(frozen=True)
class Knob:
    """One setting of a family, with the values that a search tries.

    Args:
        default: Value of a spec that does not name the knob.
        usual: Default for a task, where that depends on the task.
        values: Values that a search tries, in ascending order where there is one.
        meaning: What the knob does, in half a sentence.
        low: Least number allowed besides the default; None where only `values` are.
        high: Greatest number allowed.
        shapes: Whether the size may depend on the knob. Such knobs are listed with
            exact sizes, the others are only drawn.
        suited: Values that a search tries for a task, where they depend on the task.
        tried: The values of `suited` in words; empty where `values` are examples.
        is_open: Whether any other text is allowed as well, such as the path of a file.
        name: Name in specs, on the command line and in reports; that of the parameter
            of the family's function.
        is_optional: Whether specs leave out the knob where it has its default, unless
            another is usual.
        is_searched: Whether a search varies the knob unless it is set.
    """

    default: Value
    values: tuple[Value, ...]
    meaning: str
    low: float | None = None
    high: float = 1e9
    shapes: bool = True
    suited: Callable[[Task], tuple[Value, ...]] | None = None
    tried: str = ""
    is_open: bool = False
    name: str = ""
    is_optional: bool = False
    is_searched: bool = False
    usual: Callable[[Task], Value] | None = None

    def default_for(self, task: Task | None) -> Value:
        """Value for a task, or any task, where nobody names the knob."""
        return self.usual(task) if self.usual and task else self.default

    def values_for(self, task: Task) -> tuple[Value, ...]:
        """Values that a search tries for a task."""
        return self.values if self.suited is None else self.suited(task)

    def check(self, value: Any) -> Value:
        """A value for the knob, in the type of the default, if the value is allowed."""
        converted = self._convert(value)
        if self.low is None:
            if converted not in self.values and not self.is_open:
                known = ", ".join(str(item) for item in self.values)
                raise SpecError(f"`{self.name}` is one of {known}, not {value!r}.")
        elif not self.low <= float(converted) <= self.high:
            if converted == self.default:
                return converted
            other = f", or {self.default}," if float(self.default) < self.low else ""
            raise SpecError(
                f"`{self.low:g} <= {self.name} <= {self.high:g}`{other} must hold, but "
                f"got {self.name}={converted}."
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


def knob(default: Value, values: Sequence[Value], meaning: str, **more: Any) -> Any:
    """A knob, as the default of a parameter of a family's function; see `Knob`."""
    return Knob(default, tuple(values), meaning, **more)


def depth_knob(default: int, values: tuple[int, ...], meaning: str) -> Any:
    """The depth of a family."""
    return knob(default, values, meaning, low=1, high=10_000, is_searched=True)


def width_knob(default: int, high: int, meaning: str) -> Any:
    """The width of a family: multiples of 8, from 32 on in steps of a quarter."""
    values = (8, 16, 24, *quarters(32, high))
    return knob(default, values, meaning, low=1, high=1_000_000, is_searched=True)


def quarters(low: int, high: int) -> tuple[int, ...]:
    """Numbers from a power of two on, in steps of a quarter of it.

    Example:

    >>> quarters(32, 80)
    (32, 40, 48, 56, 64, 80)
    """
    octaves = range(low.bit_length() - 1, high.bit_length())
    values = (2**octave // 4 * n for octave in octaves for n in range(4, 8))
    return tuple(value for value in values if value <= high)


def learning_rate_knob(default: float, low: float, high: float) -> Knob:
    """A learning rate with seven values, evenly spaced in its logarithm."""
    step = (high / low) ** (1 / 6)
    values = tuple(float(f"{low * step**i:.2g}") for i in range(7))
    meaning, name = "Adam's largest learning rate", "learning_rate"
    return Knob(default, values, meaning, 1e-9, 10.0, shapes=False, name=name)


def share_knob(
    default: float, values: Sequence[float], meaning: str, name: str = ""
) -> Any:
    """A share of something that training leaves out; the size is the same for all."""
    return Knob(default, tuple(values), meaning, 0.0, 0.95, shapes=False, name=name)


def flag_knob(default: bool, meaning: str, **more: Any) -> Any:
    """A choice between true and false."""
    return knob(default, (False, True), meaning, **more)


def activation_knob(functions: Sequence[str], meaning: str) -> Any:
    """An activation function by its Keras name; the first one is the default."""
    return knob(functions[0], functions, meaning, shapes=False)


_SMOOTHINGS = (0.0, 0.05, 0.1, 0.2)


def _smoothings_for(task: Task) -> tuple[Value, ...]:
    """No smoothing of transcripts, whose answer for a frame is not known."""
    are_framed = any(target.head.is_framed for target in task.targets)
    return (0.0,) if are_framed else _SMOOTHINGS


TRAINING_KNOBS = (
    Knob(
        0.004,
        (0.0, 0.001, 0.004, 0.016, 0.064),
        "AdamW's decoupled weight decay; not on biases and norms",
        low=0.0,
        high=10.0,
        shapes=False,
        name="weight_decay",
    ),
    replace(
        share_knob(
            0.0,
            _SMOOTHINGS,
            "share of the label spread over all classes",
            name="label_smoothing",
        ),
        suited=_smoothings_for,
    ),
)


VIEW_KNOBS: Mapping[InputKind, tuple[Knob, ...]] = {
    "image": (
        Knob(
            0,
            (0,),
            f"shorter side of images in pixels, at least {LEAST_SIDE}; 0 is all of it, "
            "as the images are loaded",
            low=LEAST_SIDE,
            suited=image_sizes_for,
            tried="1/4 to all",
            name="image_size",
            is_optional=True,
        ),
    ),
    "spectrogram": (
        Knob(
            0,
            WINDOWS,
            "milliseconds of sound that a frame sees, at least "
            f"{LEAST_WINDOW}, 2.5 steps to the next; 0 is 25",
            low=LEAST_WINDOW,
            suited=windows_for,
            name="window",
            is_optional=True,
        ),
        Knob(
            0,
            BANDS,
            "mel bands of a frame of sound; 0 is as many as the data have",
            low=1,
            suited=bands_for,
            name="mel_bands",
            is_optional=True,
        ),
    ),
}
"""By kind of the input, knobs that decide what a network sees: `kscale.networks.views`.
Specs of versions that had no such knobs are those of networks that see all."""


_SUBWORDS = Knob(
    0,
    (500, 1000, 2000, 4000, 8000, 16000),
    "sub-words of the vocabulary that texts are read and written in; 0 is as many as "
    "the data have",
    low=6,
    suited=subwords_for,
    name="subwords",
    is_optional=True,
)
TARGET_VIEW_KNOBS: Mapping[str, tuple[Knob, ...]] = {
    "tokens": (_SUBWORDS,),
    "next": (_SUBWORDS,),
}
"""As `VIEW_KNOBS`, by kind of the target."""


@dataclass(frozen=True)
class Spec:
    """One point of a family: everything that decides the network and its training,
    except the learning rate and the seed.

    Args:
        family: Name of the family.
        knobs: Names and values of all knobs of the family, sorted by name; optional
            ones only where they have another value than their default.
    """

    family: str
    knobs: tuple[tuple[str, Value], ...]

    def __getitem__(self, name: str) -> Value:
        return dict(self.knobs)[name]

    @property
    def depth(self) -> int:
        """Depth as the family counts it; 0 for a family without depth."""
        return int(dict(self.knobs).get("depth", 0))

    @property
    def width(self) -> int | None:
        """Width as the family counts it; None for a family without width."""
        width = dict(self.knobs).get("width")
        return None if width is None else int(width)

    @property
    def backbone(self) -> str:
        """Name of the pretrained network that is trained on; empty without one."""
        return str(dict(self.knobs).get("backbone", ""))

    @property
    def label(self) -> str:
        """Family, depth and width in a few characters: `mlp 3 x 64`.

        A spec without a depth or without a width shows what it has.

        Example:

        >>> Spec("mlp", (("depth", 3), ("width", 64))).label
        'mlp 3 x 64'
        >>> Spec("pretrained", (("backbone", "vgg16"),)).label
        'pretrained vgg16'
        >>> Spec("my_models:build", (("depth", 2),)).label
        'my_models:build depth 2'
        """
        if self.depth and self.width:
            return f"{self.family} {self.depth} x {self.width}"
        depth = f"depth {self.depth}" if self.depth else ""
        width = f"width {self.width}" if self.width else ""
        return " ".join(filter(None, (self.family, self.backbone, depth, width)))

    def with_knobs(self, **knobs: Value) -> "Spec":
        """The same spec with other values of some knobs, which are not checked."""
        changed = {**dict(self.knobs), **knobs}
        return Spec(self.family, tuple(sorted(changed.items())))

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
        summary: What the networks are and what they are for, in one line.
        depth_counts: What one step of depth adds.
        width_counts: What the width is the number of.
        kinds: Kinds of input that the networks take.
        learning_rate: Adam's learning rate, with the values that a search tries.
        network: A function from a task, and the knobs by name, to a blueprint. The
            default of a parameter is the knob of this name, the depth and the width
            first.
        takes_several: Whether there may be more than one input.
        targets: Kinds of targets that the networks predict.
        usual: Task that a network is counted for where none is given; a shape or a
            vocabulary changes all of its inputs and targets.
    """

    name: str
    summary: str
    depth_counts: str
    width_counts: str
    kinds: tuple[InputKind, ...]
    learning_rate: Knob
    network: Callable[..., Blueprint]
    takes_several: bool = False
    targets: tuple[str, ...] = ("classes", "labels", "real")
    usual: Task | None = None

    @cached_property
    def knobs(self) -> tuple[Knob, ...]:
        """Settings of the network."""
        declared = self.network.__kwdefaults__ or {}
        return tuple(replace(knob, name=name) for name, knob in declared.items())

    @cached_property
    def all_knobs(self) -> dict[str, Knob]:
        """Knobs by name: those of the network, of what it sees, and of training, no
        learning rate."""
        views = [knob for kind in self.kinds for knob in VIEW_KNOBS.get(kind, ())]
        for kind in self.targets:
            views += TARGET_VIEW_KNOBS.get(kind, ())
        return {knob.name: knob for knob in (*self.knobs, *views, *TRAINING_KNOBS)}

    def named(
        self, knobs: Mapping[str, Value], task: Task | None = None
    ) -> dict[str, Value]:
        """Knobs as specs hold them, without optional ones at their default, if that is
        the default for a task too."""
        left_out = {
            (name, knob.default)
            for name, knob in self.all_knobs.items()
            if knob.is_optional and knob.default == knob.default_for(task)
        }
        return {n: v for n, v in knobs.items() if (n, v) not in left_out}

    def knob(self, name: str) -> Knob:
        """A knob by name, the learning rate included.

        Raises:
            SpecError: The family has no such knob.
        """
        known = {**self.all_knobs, "learning_rate": self.learning_rate}
        if name not in known:
            raise SpecError(unknown_name(f"knob of {self.name}", name, known))
        return known[name]

    def spec(self, task: Task | None = None, /, **knobs: Any) -> Spec:
        """A spec of this family; knobs not named keep their default, or what is usual
        for a task.

        Raises:
            SpecError: A knob is unknown or its value makes no sense.
        """
        chosen = {name: k.default_for(task) for name, k in self.all_knobs.items()}
        for name, value in knobs.items():
            if name not in chosen:
                raise SpecError(unknown_name(f"knob of {self.name}", name, chosen))
            chosen[name] = self.all_knobs[name].check(value)
        return Spec(self.name, tuple(sorted(self.named(chosen, task).items())))

    def blueprint(self, spec: Spec, task: Task) -> Blueprint:
        """The network of a spec for a task.

        Raises:
            SpecError: The family does not take the inputs of the task.
        """
        return self.blueprint_of(dict(spec.knobs), task)

    def blueprint_of(self, knobs: Mapping[str, Any], task: Task) -> Blueprint:
        """The network for knobs by name; the width may be an int64 array.

        A knob that is missing, as in a spec of an earlier version, has its default. The
        inputs are those of the task as the network sees them.
        """
        self.check_task(task)
        if knobs.get("label_smoothing") and _smoothings_for(task) == (0.0,):
            raise SpecError(
                "`label_smoothing` is of no use for transcripts: the right answer of a "
                f"frame is not known, but got {knobs['label_smoothing']}."
            )
        values = {knob.name: knobs.get(knob.name, knob.default) for knob in self.knobs}
        return self.network(viewed(task, knobs), **values)

    def size(self, spec: Spec, task: Task) -> Size:
        """Exact size of a spec's network for a task."""
        return size_of(self.blueprint(spec, task))

    def takes(self, task: Task) -> bool:
        """Whether `check_task` finds nothing wrong."""
        try:
            self.check_task(task)
        except SpecError:
            return False
        return True

    def check_task(self, task: Task) -> None:
        """Raise unless the family takes the kinds of inputs and targets of a task, and
        so many inputs."""
        titles = [HEADS[kind].title for kind in self.targets]
        for target in task.targets:
            if target.head.title not in titles:
                raise SpecError(
                    f"Family {self.name} predicts {listed(titles, 9)}, but "
                    f"{target.name!r} is {target.head.title}."
                )
        kinds = [item.kind for item in task.inputs]
        if any(kind not in self.kinds for kind in kinds):
            raise SpecError(
                f"Family {self.name} takes {' or '.join(self.kinds)} inputs, but the "
                f"data has {' and '.join(kinds)}."
            )
        if len(kinds) > 1 and not self.takes_several:
            raise SpecError(
                f"Family {self.name} takes one input, but the data has {len(kinds)}."
            )


def with_heads(task: Task, layers: list[Layer], table: str = "") -> Blueprint:
    """A blueprint of layers with heads: for each target a dense layer on the last one.

    Classes come as logits. A task without targets gets the output of the last layer.
    With the path of a table of embeddings, the heads read its rows.
    """
    if not task.targets:
        return Blueprint(task.inputs, tuple(layers), (layers[-1].name,))
    trunk = (layers[-1].name if layers else task.inputs[0].name,)
    heads = [
        TiedDense(table, target.outputs, name=name, inputs=trunk)
        if table
        else Dense(target.outputs, name=name, inputs=trunk)
        for target, name in zip(task.targets, head_names(task), strict=True)
    ]
    outputs = tuple(head.name for head in heads)
    all_layers, functions = (*layers, *heads), activations_of(task)
    return Blueprint(task.inputs, all_layers, outputs, functions, task.has_sequences)


def activations_of(task: Task) -> tuple[str, ...]:
    """The activation of each target in an exported model."""
    return tuple(target.head.activation for target in task.targets)


def head_names(task: Task) -> list[str]:
    """Names of the output layers: `head`, or `head/<target>` for several targets."""
    if len(task.targets) == 1:
        return ["head"]
    return [f"head/{target.name}" for target in task.targets]


def dropped(rate: float, name: str = "dropout", positions: bool = False) -> list[Layer]:
    """A `Dropout` layer; none where the rate is 0."""
    return [Dropout(rate, positions, name=name)] if rate else []
