"""Records: what a run folder holds, one JSON line each, by kind.

A line names its kind: a training, the evaluation of a finished training on the test
part, the measured latency of a network, the score of a reference that is no candidate
of the search, and what a network reaches when it is compressed. Each has fields of its
kind only; msgspec checks the type and the range of each value.
"""

import math
from collections.abc import Mapping
from hashlib import blake2b
from typing import Annotated, Any, ClassVar, Literal, TypeGuard, get_args

import msgspec

from kscale.networks.families import FAMILIES
from kscale.networks.families.base import Spec, Value

Stage = Literal["baseline", "search", "finalist", "subset"]
"""Why a network was trained: to compare with, to choose, to prove a choice, or on fewer
examples than the others, to forecast what more of them would buy."""

STAGES: tuple[Stage, ...] = get_args(Stage)

Status = Literal["ok", "failed"]
ReferenceName = Literal["majority", "present", "retrained"]

MAJORITY: ReferenceName = "majority"
PRESENT: ReferenceName = "present"
RETRAINED: ReferenceName = "retrained"
REFERENCES: tuple[ReferenceName, ...] = (MAJORITY, PRESENT, RETRAINED)

UNCOUNTED = "not counted: "
"""How the reason of a training begins that went well elsewhere, while the size of its
network could not be counted here."""

# Far beyond any figure, and the square is still finite.
Count = Annotated[int, msgspec.Meta(ge=0)]
Number = Annotated[float, msgspec.Meta(gt=-1e100, lt=1e100)]
Amount = Annotated[float, msgspec.Meta(ge=0, lt=1e100)]
Triple = Annotated[list[Count], msgspec.Meta(min_length=3, max_length=3)]


class Scored(msgspec.Struct, frozen=True, kw_only=True):
    """A score on examples that no training saw.

    Args:
        score: Objective after the last epoch; None if there is none.
        stderr: Standard error of the score over the examples.
        examples: Number of examples the score was computed on.
        metrics: Further metrics on the same examples, by the names that
            `kscale.task.objectives.shown_metrics` gives; undefined ones are left out.
    """

    score: Number | None = None
    stderr: Amount | None = None
    examples: Count = 0
    metrics: dict[str, Number] = {}

    @property
    def is_scored(self) -> bool:
        """Whether there is a score that is a number, of work that ended well."""
        is_ok = getattr(self, "status", "ok") == "ok"
        return is_ok and self.score is not None and math.isfinite(self.score)


class Ended(Scored, frozen=True, kw_only=True):
    """A network of exact size that was trained or scored, well or not.

    Args:
        params, trainable, flops, bytes: Exact size; `bytes` are float32 weights.
        memory: Bytes that a training was predicted to hold.
        unknown_flops: Layers whose FLOPs nobody knows, which `flops` is without.
        status: Whether the work ended well.
        reason: Why it failed, in one line.
        learning_rate: Largest learning rate, or the first one of a model that a user
            compiled; 0 where it is not known, None where nothing was trained.
        seed: Seed of initial weights, dropout and order of examples.
        epochs: Epochs the weights have been trained.
        undertrained: Whether the score was still improving when training ended.
        seconds: Wall-clock time of building, training and scoring.
        curve: For each epoch since the first, under `loss` and `score`.
    """

    params: Count
    trainable: Count
    flops: Count
    bytes: Count
    memory: Count = 0
    unknown_flops: Count = 0
    status: Status = "ok"
    reason: str = ""
    learning_rate: Amount | None = None
    seed: Count = 0
    epochs: Count = 0
    undertrained: bool = False
    seconds: Amount = 0.0
    curve: dict[str, list[Number | None]] = {}

    @property
    def trained_epochs(self) -> int:
        """Epochs that were trained: a user's `fit` may train others than asked."""
        return len(self.curve.get("loss", ())) or self.epochs


class Training(Ended, frozen=True, kw_only=True, tag="training"):
    """What one training left behind.

    Args:
        key: Name of the training, from all that decides it; see `training_key`.
        stage: Why the network was trained.
        job: Index of the job within the stage.
        member: Index of the network within the job.
        spec: What was trained.
        epochs_from: Epochs the weights had been trained before this job.
        full_epochs: Epochs of a training of full length; 0 if `epochs` are.
        share: Part of the training examples that it was trained on. An epoch has as
            many steps as one of all of them.
        trained_on: Number of those examples; 0 where it was not recorded.
        parent: Index of the job whose weights this job went on from.
        latency_ms, latency_low, latency_high: Median, first and last decile of the time
            of a forward pass; None if it was not measured.
        seconds: Time of this job alone, without the job that it went on from.
    """

    key: str
    stage: Stage
    job: Count
    member: Count = 0
    spec: Spec
    epochs_from: Count = 0
    full_epochs: Count = 0
    share: Annotated[float, msgspec.Meta(gt=0, le=1)] = 1.0
    trained_on: Count = 0
    parent: Count | None = None
    latency_ms: Amount | None = None
    latency_low: Amount | None = None
    latency_high: Amount | None = None

    def __hash__(self) -> int:
        return hash((self.key, self.job, self.member))

    @property
    def is_full(self) -> bool:
        """Whether the training had its full length, so that its score competes."""
        return self.epochs >= self.full_epochs

    @property
    def family(self) -> str:
        """Name of the family."""
        return self.spec.family

    @property
    def knobs(self) -> dict[str, Value]:
        """Values of all knobs by name."""
        return dict(self.spec.knobs)

    @property
    def label(self) -> str:
        """Family, depth and width in a few characters."""
        return self.spec.label


class Evaluation(Scored, frozen=True, kw_only=True, tag="evaluation"):
    """What a finished training reaches on the test part.

    Args:
        spec, learning_rate, seed, epochs: Of the training.
        metric_errors: Standard errors of some of the metrics.
        confusion: By target of classes, how often each class was taken for which:
            `[class, answer, examples]` for all that occur.
        left_out: The score without each of up to 100 groups of the test examples, by
            which two networks are compared on the same examples: see
            `kscale.reports.evidence`. Empty where it is not known.
    """

    spec: Spec
    learning_rate: Amount | None = None
    seed: Count = 0
    epochs: Count = 0
    metric_errors: dict[str, Number] = {}
    confusion: dict[str, list[Triple]] = {}
    left_out: list[Number] = []

    def is_of(self, training: Training) -> bool:
        """Whether this is the evaluation of a training."""
        names = ("spec", "learning_rate", "seed", "epochs")
        return all(getattr(self, name) == getattr(training, name) for name in names)


class Measurement(msgspec.Struct, frozen=True, kw_only=True, tag="latency"):
    """The time of a forward pass of one network, measured before it is trained.

    Args:
        spec: The network.
        status, reason: Whether it could be measured, and why not.
        latency_ms, latency_low, latency_high: Median, first and last decile.
        seconds: Time of building and measuring.
    """

    spec: Spec
    status: Status = "ok"
    reason: str = ""
    latency_ms: Amount | None = None
    latency_low: Amount | None = None
    latency_high: Amount | None = None
    seconds: Amount = 0.0


class Reference(Ended, frozen=True, kw_only=True, tag="reference"):
    """The score of what a search compares with and never answers with.

    Args:
        name: `majority` always answers the largest class, or the mean; `present` is the
            user's present model as it is, `retrained` that model trained anew.
        model: Digest of the present model; empty for `majority`.
        part: The part that was scored.
        metric_errors, confusion, left_out: As in `Evaluation`, of the test part.
    """

    name: ReferenceName
    model: str = ""
    part: Literal["validation", "test"] = "validation"
    metric_errors: dict[str, Number] = {}
    confusion: dict[str, list[Triple]] = {}
    left_out: list[Number] = []

    stage: ClassVar[Stage] = "baseline"
    is_full: ClassVar[bool] = True
    latency_ms: ClassVar[None] = None
    latency_low: ClassVar[None] = None
    latency_high: ClassVar[None] = None

    @property
    def key(self) -> str:
        """A name for what was scored, whatever the part."""
        model = (("model", self.model),) if self.model else ()
        rate = self.learning_rate
        return _digest(self.stage, self.name, model, rate, self.seed, self.epochs)

    @property
    def family(self) -> str:
        """The name, where tables show a family."""
        return self.name

    @property
    def knobs(self) -> dict[str, Value]:
        """None: a reference is no point of a family."""
        return {}

    @property
    def label(self) -> str:
        """The name."""
        return self.name


class MadeFile(Scored, frozen=True, kw_only=True):
    """A file made of a trained model, as it was run again in its runtime.

    Args:
        bytes: Of the file, or of all files of a folder; without a file, of the weights.
        gzip_bytes: Of the file in gzip; None without a file.
        agreement: Share of the examples with the same answer as the float32 model's;
            None where answers are numbers.
        latency_ms, latency_high: Median and last decile of the time of one example in
            the runtime of the file; None without a file.
        seconds: Time of all that was done.
    """

    bytes: Count = 0
    gzip_bytes: Count | None = None
    agreement: Amount | None = None
    latency_ms: Amount | None = None
    latency_high: Amount | None = None
    seconds: Amount = 0.0


class Export(MadeFile, frozen=True, kw_only=True, tag="export"):
    """An exported model.

    Args:
        format: Name of the format.
        model: `best`, `recommended`, or the key of a training.
        path: Where the file was written.
        difference: Largest difference of a probability from the model's, or of a value
            in standard deviations of the training part.
    """

    format: str
    model: str
    path: str
    difference: Amount | None = None


class Compression(MadeFile, frozen=True, kw_only=True, tag="compression"):
    """What a trained network reaches when it is compressed.

    Args:
        training: Key of the training whose weights were compressed.
        method: The method, as `kscale compress` is given it; `float32` for none.
        spec: The network that is left, whose weights the file holds.
        bits: Bits of a weight.
        seed: Of a method that trains.
        part: The part that was scored.
        status, reason: Whether the method worked, and why not.
        file: Name of the file that was scored; empty where none was written, and
            weights were rounded to what a file would hold.
        params: Weights of the network.
        metric_errors, confusion, left_out: As in `Evaluation`, of the part.
    """

    training: str
    method: str
    spec: Spec
    bits: Count = 32
    seed: Count = 0
    part: Literal["validation", "test"] = "validation"
    status: Status = "ok"
    reason: str = ""
    file: str = ""
    params: Count = 0
    metric_errors: dict[str, Number] = {}
    confusion: dict[str, list[Triple]] = {}
    left_out: list[Number] = []

    @property
    def is_rounded(self) -> bool:
        """Whether weights were rounded, and no file was written."""
        return self.status == "ok" and not self.file


class DeviceFit(msgspec.Struct, frozen=True, kw_only=True, tag="device"):
    """What a network needs on a microcontroller, as an int8 LiteRT file.

    Args:
        spec: The network.
        predicted_flash, predicted_ram: Bytes of the file and of the interpreter's
            arena, as predicted before training.
        flash, ram: Bytes as measured of the trained network; None if they were not.
        training: Key of the training whose weights the file that was measured has.
        score, stderr, examples: Of that file on the validation part, of which a short
            time allows a few examples only; None if not scored.
        test_score, test_stderr, test_examples: On the test part; None but for answers.
        status, reason: Whether the network could be measured, and why not.
        unscored: Why the file has no score, or none on the test part.
        seconds: Time of converting and measuring.
    """

    spec: Spec
    predicted_flash: Count
    predicted_ram: Count
    flash: Count | None = None
    ram: Count | None = None
    training: str = ""
    score: Number | None = None
    stderr: Amount | None = None
    examples: Count | None = None
    test_score: Number | None = None
    test_stderr: Amount | None = None
    test_examples: Count | None = None
    status: Status = "ok"
    reason: str = ""
    unscored: str = ""
    seconds: Amount = 0.0


INT8_SCORES = {
    "validation": ("score", "stderr", "examples"),
    "test": ("test_score", "test_stderr", "test_examples"),
}
"""Fields of `DeviceFit` that hold what the int8 file reaches, by part of the data."""

Record = (
    Training | Evaluation | Measurement | Reference | Export | Compression | DeviceFit
)


def is_trained(record: Record) -> TypeGuard[Training | Reference]:
    """Whether something was trained, the user's present model anew included: not so for
    the majority class, nor for the present model as it is."""
    if isinstance(record, Reference):
        return record.name == RETRAINED and record.part == "validation"
    return isinstance(record, Training)


def to_line(record: Record) -> str:
    """One line of JSON, with its newline; NaN and infinity become null."""
    data = msgspec.to_builtins(record, enc_hook=float)
    if "spec" in data:
        data["spec"] = record.spec.to_json()  # type: ignore[union-attr]
    return msgspec.json.encode(data).decode() + "\n"


def from_line(line: str | bytes) -> Record:
    """The record that `to_line` wrote, or that a line of format 2 holds.

    Raises:
        ValueError: The line is not a whole record.
    """
    try:
        data = msgspec.json.decode(line)
        if not isinstance(data, dict):
            raise ValueError("not an object")
        data = data if "type" in data else _of_format_2(data)
        if "spec" in data:
            data["spec"] = _spec(data["spec"])
        record: Record = msgspec.convert(data, Record)
        return record
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(str(error)) from error


def _spec(data: Any) -> Spec:
    """A spec of plain data, of a family that is known or of a user's code."""
    if not isinstance(data, dict) or not isinstance(data["family"], str):
        raise ValueError(f"{str(data)[:80]} is no spec")
    spec = Spec.from_json(data)
    if spec.family not in FAMILIES and ":" not in spec.family:
        raise ValueError(f"unknown family {spec.family[:80]!r}")
    whole = all(type(data.get(name, 0)) is int for name in ("depth", "width"))
    if not whole or not all(isinstance(v, int | float | str) for _, v in spec.knobs):
        raise ValueError(f"{str(data)[:80]} is no spec")
    return spec


def _of_format_2(data: Mapping[str, Any]) -> dict[str, Any]:
    """A line of format 2, where every line had all fields, as one of its kind."""
    family, stage = data["spec"]["family"], data["stage"]
    kinds: dict[str, type[msgspec.Struct]]
    kinds = {"test": Evaluation, "latency": Measurement}
    kind = kinds.get(stage, Training)
    more: dict[str, Any] = {}
    if family in REFERENCES:
        kind, model = Reference, data["spec"].get("model", "")
        part = "test" if stage == "test" else "validation"
        more = {"name": family, "part": part, "model": model}
    elif kind is Training:
        rate = None if ":" in family else data.get("learning_rate")
        numbers = data.get("seed", 0), data.get("epochs", 0)
        spec = Spec.from_json(data["spec"])
        more = {"key": training_key(stage, spec, rate, *numbers)}
    known = {name: data[name] for name in kind.__struct_fields__ if name in data}
    return {"type": kind.__struct_config__.tag, **known, **more}


def training_key(
    stage: str,
    spec: Spec,
    learning_rate: float | None,
    seed: int,
    epochs: int,
    share: float = 1.0,
) -> str:
    """A name for one training, from everything that decides it: the learning rate asked
    for (None where the code of a user's model decides), the epochs at its end, and the
    share of the examples where that is not all."""
    fewer = (share,) if share < 1 else ()
    return _digest(stage, spec.family, spec.knobs, learning_rate, seed, epochs, *fewer)


def _digest(stage: str, *parts: Any) -> str:
    return (
        f"{stage}-{blake2b(repr((stage, *parts)).encode(), digest_size=8).hexdigest()}"
    )
