"""Report: what a search found, as plain records that every output format reads."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kscale.networks.budget import Budget
from kscale.networks.families.base import Spec, Value
from kscale.reports.confusion import Confusion
from kscale.task.objectives import Objective
from kscale.task.tasks import Target


@dataclass(frozen=True)
class Row:
    """All finished trainings of one spec at one learning rate.

    Args:
        spec: What was trained.
        knobs: Its knobs that were searched or set, without depth and width.
        learning_rate: Largest learning rate; None where nothing is trained.
        params, trainable, flops, bytes: Exact size; `bytes` are float32 weights.
        unknown_flops: Layers whose FLOPs nobody knows, which `flops` is without.
        memory: Bytes that training was predicted to hold.
        latency_ms, latency_low, latency_high: Median time of a forward pass, with its
            first and last decile; None if it was not measured.
        score: Objective on the validation part, the mean over the seeds.
        stderr: Standard error of the score.
        seeds: Number of trainings the score is the mean of.
        stage: Stage of those trainings.
        epochs: Epochs each of them took.
        undertrained: Whether most of them were still improving at the end.
        is_front: Whether no other row within the budget beats it in size and score.
        is_best, is_recommended: Whether it is the answer of that name.
        is_tied: Whether it has as much evidence as the best row and is within one
            standard error of it, as the best row itself is.
        is_baseline: Whether it was trained to compare with.
        over_budget: Whether it exceeds a limit.
        density: Points (per cent) above chance for each million params.
        net_score: NetScore, as `kscale.reports.measures` defines it.
        gain: Score gained for each doubling of params since the next smaller front row
            that is smaller by a tenth, in points for shares; above 0 is better, also
            where a low score is. None if there is no such row.
        test_score: Objective on the test part.
        test_low, test_high: 95 % interval of the test score.
        metrics: Further metrics on the validation part, the mean over the seeds.
        test_metrics, test_errors: Metrics on the test part with standard errors.
        confusions: By target of classes, its confusion on the test part.
        left_out: The test score without each group of examples, the mean over the
            seeds tested; empty where it is not known.
    """

    spec: Spec
    knobs: tuple[tuple[str, Value], ...]
    learning_rate: float | None
    params: int
    trainable: int
    flops: int
    bytes: int
    score: float
    stderr: float
    seeds: int
    stage: str
    epochs: int
    undertrained: bool = False
    is_front: bool = False
    is_best: bool = False
    is_recommended: bool = False
    is_tied: bool = False
    is_baseline: bool = False
    over_budget: bool = False
    density: float | None = None
    net_score: float | None = None
    gain: float | None = None
    test_score: float | None = None
    test_low: float | None = None
    test_high: float | None = None
    unknown_flops: int = 0
    memory: int = 0
    latency_ms: float | None = None
    latency_low: float | None = None
    latency_high: float | None = None
    metrics: Mapping[str, float] = field(default_factory=dict, hash=False)
    test_metrics: Mapping[str, float] = field(default_factory=dict, hash=False)
    test_errors: Mapping[str, float] = field(default_factory=dict, hash=False)
    confusions: Mapping[str, Confusion] = field(default_factory=dict, hash=False)
    left_out: tuple[float, ...] = ()

    @property
    def family(self) -> str:
        """Name of the family."""
        return self.spec.family

    @property
    def depth(self) -> int:
        """Depth, as the family counts it; 0 where it has none."""
        return self.spec.depth

    @property
    def width(self) -> int | None:
        """Width, as the family counts it; None where it has none."""
        return self.spec.width


@dataclass(frozen=True)
class Report:
    """What a search found.

    Args:
        rows: All rows: the front in the order of `rank_by`, then the others, those of
            the best score first.
        front: Rows that no other row within the budget beats, in the same order.
        best: The row of the best score within the budget; None if there is none.
        recommended: The smallest row statistically tied with the best.
        baselines: Rows to compare with, the smallest first.
        failures: Reasons of failed trainings with their numbers, most frequent first.
        notes: What a reader should know, one sentence each, most important first.
        objective: What was improved.
        budget: What the networks may cost.
        data: `name` of the data, and examples in `train`, `validation` and `test`.
        rank_by: One of `kscale.reports.ranking.RANKINGS`.
        chance: Score of the majority class or of the mean; None if not measured.
        training_seconds: Wall-clock time of all trainings together.
        trainings: Number of trainings, failed ones included.
        searched: Knobs that were searched, depth and width among them.
        fixed: Knobs that were set.
        targets: What the networks predict.
        class_counts: By target of classes, how often each occurs in the training part.
        class_weights: Weights of the classes in the loss, `none` or `balanced`.
        present: What `run.json` says of the user's present model: `name`, and how it
            was `fed`; empty without one.
    """

    rows: tuple[Row, ...]
    front: tuple[Row, ...]
    best: Row | None
    recommended: Row | None
    baselines: tuple[Row, ...]
    failures: tuple[tuple[str, int], ...]
    notes: tuple[str, ...]
    objective: Objective
    budget: Budget
    data: Mapping[str, Any]
    rank_by: str
    chance: float | None
    training_seconds: float
    trainings: int
    searched: tuple[str, ...]
    fixed: Mapping[str, Any]
    targets: tuple[Target, ...] = ()
    class_counts: Mapping[str, Sequence[int]] = field(default_factory=dict)
    class_weights: str = "none"
    present: Mapping[str, Any] = field(default_factory=dict)
