"""SearchRequest: what a user asks of a search, each option checked."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from kscale.engine.base import PRECISIONS
from kscale.engine.strategies import check_strategy
from kscale.errors import (
    BudgetError,
    ResultsError,
    SpecError,
    check_least,
    unknown_name,
)
from kscale.networks.boards import limits_with
from kscale.networks.budget import STORED, Budget
from kscale.networks.families import FAMILIES
from kscale.networks.parametrization import PARAMETRIZATIONS
from kscale.search import SEARCHERS
from kscale.search.effort import EFFORTS

LEAST = {
    "trials": 1,
    "workers": 1,
    "seed": 0,
    "seeds": 1,
    "finalist_seeds": 0,
    "most_finalists": 2,
    "epochs": 1,
    "batch_size": 1,
    "machines": 1,
    "time_limit": 1e-3,
    "checkpoint_seconds": 0.0,
}
"""The smallest values of numbers; whole numbers where the smallest is whole."""

BITS = {"auto": tuple(STORED), **{str(bits): (bits,) for bits in STORED}}
"""Bits of a weight by what is asked for."""

_ADDRESS = re.compile(r"[\w.-]+:(\d{1,5})", re.ASCII)
_MOST_PORTS = 65_535

MOST_TRIALS = 10_000
"""Specs to try at most where effort or time ends a search."""


@dataclass(frozen=True, eq=False)
class SearchRequest:
    """What a search is asked to do: the options of `kscale.tune`, checked.

    The docstring of `tune` and the help of `kscale tune` are made of this one.

    Args:
        data: Anything `kscale.load_dataset` takes.
        max_params: Most parameters.
        max_flops: Most FLOPs of one example forward; a multiply-add is 2.
        max_bytes: Most bytes of the weights, in float32 unless `bits` says otherwise.
        bits: Bits of a weight in the stored network: 32, 16, 8 or 4, or `auto` for the
            best of these. Networks are trained in float32; finalists are scored with
            weights rounded to all bits in which the network fits `max_bytes`, and the
            answer is a network with its bits.
        max_memory: Most bytes that training holds, predicted before the network is
            built; see `Size.training_bytes`.
        max_flash: Most bytes of the int8 LiteRT file, predicted before the network is
            trained; see `kscale.networks.device`. Only networks that TensorFlow Lite
            Micro runs are searched.
        max_ram: Most bytes of RAM that TensorFlow Lite Micro needs for that file,
            predicted as well.
        board: A microcontroller board of `kscale.networks.boards`: limits `max_flash`
            and `max_ram` to three quarters of what the board has.
        max_latency_ms: Most milliseconds of a forward pass, measured on this device
            before a network is trained.
        latency_batch: Examples in the forward pass that is measured.
        family: Name of a family or several; `auto` takes what suits the data.
        search: Knobs to vary besides depth, width and learning rate.
        settings: Values of knobs that are not to be varied, `learning_rate` included.
        class_weights: `balanced` weights the loss so that every class counts the same,
            however rare; `none` counts every example the same.
        objective: A metric by its Keras name, such as accuracy, recall, auc, f1 or
            rmse; without one, accuracy for classes, f1 for labels of which several may
            be true, and rmse for real values. With several targets, the score is the
            mean over the targets; without a metric, or with `mean`, of accuracy, f1 and
            R2.
        searcher: How networks are tried: `auto` learns from the scores so far which
            sizes, knobs and learning rates promise most for their cost, and begins
            networks with a short training; `bayesian` learns too, from full trainings;
            `evolution` changes one knob of a good network at a time; `random` trains
            each network in full; `halving` begins many and goes on with the best third,
            twice.
        for_law: Train for the law of error against size rather than for the best
            network: a ladder of sizes within the limit, most with several seeds, chosen
            to make `kscale forecast` surest of four times the largest size. There are
            no finalists; an effort counts trainings of the largest network, and further
            seeds of a spec are trials.
        examples_ladder: In a search with `for_law`, also train some sizes on half and
            on a quarter of the training examples, with each class in the same share and
            as many steps as with all. Then `kscale forecast --examples 2x` says what
            more data would buy.
        effort: How much to train in all, finalists included: as much as 3 (`quick`), 5
            (`normal`) or 20 (`thorough`) full trainings of the best network so far, or
            of the dearest while a baseline is better than all, but at least 9, 20 or 60
            seconds. By default `normal`, or no such limit where a number of trials or a
            time is given.
        stop_when_flat: End the search also where further training promises less than a
            tenth of the standard error of the best score; by default yes, unless the
            effort is `thorough`, or only a number of trials is given.
        trials: Most specs to try, before the finalists; by default all that fit.
        time_limit: Most seconds, with planning and finalists.
        epochs: Epochs of each training; by default enough for about 1,600 steps, or
            fewer where the time limit is short.
        batch_size: Examples in a step; by default 32, 64 or 128, as suits the data.
        seed: Decides every random choice.
        seeds: Trainings of each spec tried, each from another seed.
        finalist_seeds: New trainings of each finalist, and more where a time limit
            leaves time; 0 for no finalists.
        most_finalists: Most finalists.
        hypermodel: Your `keras_tuner.HyperModel` or function `build(hp)` to search
            instead of a family, or `module:name`, which is imported. The models get the
            data as they are: images and numbers unscaled, class ids, values in their
            unit. What the hypermodel compiles is trained by the hypermodel's `fit`.
        depth_knob: Integer hyperparameter of the hypermodel that is shown as depth;
            by default the hyperparameter named depth.
        width_knob: Integer hyperparameter of the hypermodel that is shown as width;
            by default the hyperparameter named width.
        strategy: How devices share the work. 'each' trains another network on every
            device, all at the same time. Each network is trained as copies by
            'mirrored' on every device of this machine, by 'GPU:0,GPU:1' on these
            devices, by 'workers' on all machines that TF_CONFIG names, by 'tpu' on the
            cores of this machine's TPU, and by 'tpu:NAME' on those of a TPU in Google's
            cloud (no TPU has been tried). 'one' takes a single device, 'GPU:1' this
            device, 'none' leaves the choice to TensorFlow, and 'auto' chooses by the
            machines, the GPUs and the networks.
        workers: Trainings at once, each in a process that has a GPU or, where there is
            none, a share of the cores. The processes run on this machine, or on those
            of a cluster. The package ray is needed.
        cluster: Address `host:port` of the head of a running Ray cluster, whose
            machines train. Without `workers`, there is a process for each GPU or, where
            there is no GPU, for each core. All machines must see the run folder under
            the same path and have the same kscale.
        machines: Machines that train each network together: this one, and others of the
            Ray cluster that `cluster` names. Their messages are neither encrypted nor
            protected by a password: their network must be private.
        precision: What the layers of kscale's networks compute in while they are
            trained: `float32`, `bfloat16`, or `auto` for bfloat16 on devices where
            networks were seen to train faster and to score the same, so far none.
            Weights, losses, test scores and shipped models are always float32.
        parametrization: `mup` multiplies the learning rates and the initial values of
            weights by what the width asks for, so that a learning rate which is good at
            the family's default width is good at others; `standard` does not.
        baseline: Your present model to compare with, a `keras.Model` or the path of a
            `.keras` file. The model is counted, and scored unchanged on the same
            validation and test parts. Its inputs are the raw ones or, where the score
            is clearly better, inputs divided by their largest value or prepared as for
            networks; a note says which. Its classes must be in the order of the data's
            classes, its values in your unit.
        retrain_baseline: Whether the baseline is also trained anew with the same
            recipe, at a learning rate of 0.001 unless `settings` has another.
        run: Folder of the run; by default a folder in `runs/` whose name is made from
            the options.
        checkpoint_seconds: Least time between two checkpoints of one training.

    Raises:
        BudgetError: There is no limit, or one is no number above 0.
        ResultsError: The name of the run folder is empty.
        SpecError: A number is too small or of a wrong type, or a name is unknown.
    """

    data: Any = "digits"
    max_params: float | None = None
    max_flops: float | None = None
    max_bytes: float | None = None
    bits: str | int = "32"
    max_memory: float | None = None
    max_flash: float | None = None
    max_ram: float | None = None
    board: str | None = None
    max_latency_ms: float | None = None
    latency_batch: int = 1
    family: str | Sequence[str] = "auto"
    search: str | Sequence[str] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    class_weights: str = "none"
    objective: str | None = None
    searcher: str = "auto"
    for_law: bool = False
    examples_ladder: bool = False
    effort: str | None = None
    stop_when_flat: bool | None = None
    trials: int | None = None
    time_limit: float | None = None
    epochs: int | None = None
    batch_size: int | None = None
    seed: int = 0
    seeds: int = 1
    finalist_seeds: int = 3
    most_finalists: int = 5
    hypermodel: Any = None
    depth_knob: str | None = None
    width_knob: str | None = None
    strategy: str = "auto"
    workers: int | None = None
    cluster: str | None = None
    machines: int = 1
    precision: str = "auto"
    parametrization: str = "standard"
    baseline: Any = None
    retrain_baseline: bool = False
    run: str | Path | None = None
    checkpoint_seconds: float = 15.0

    def __post_init__(self) -> None:
        family = self.family
        try:
            named = {
                "family": (family,) if isinstance(family, str) else tuple(family),
                "search": searched_knobs(self.search),
                "settings": dict(self.settings or {}),
            }
        except (TypeError, ValueError) as error:
            raise SpecError(
                "`family` and `search` must be names or lists of names, and `settings` "
                f"values by name, but got {family!r}, {self.search!r} and "
                f"{self.settings!r}."
            ) from error
        for name, value in named.items():
            object.__setattr__(self, name, value)
        for name, least in LEAST.items():
            value = getattr(self, name)
            if value is not None or getattr(SearchRequest, name) is not None:
                check_least(name, value, least, "a number of seconds")
        if not self.family:
            raise SpecError("A search needs a family; give a name, or 'auto'.")
        self._check_names()
        check_strategy(self.strategy)
        self._check_machines()
        if self.run is not None and not str(self.run).strip():
            raise ResultsError("The name of the run folder is empty; give another one.")
        is_path = isinstance(self.run, str | Path | None)
        if not is_path or (self.run and Path(self.run).is_file()):
            raise ResultsError(f"A run is a folder, but {str(self.run)!r} is none.")
        if not self.budget().is_limited:
            raise BudgetError(
                "A search needs a limit; give one or more of max_params, max_flops, "
                "max_bytes, max_memory, max_flash, max_ram, board and max_latency_ms, "
                "for example --max-params 1m."
            )
        if self.budget().is_of_device and self.hypermodel is not None:
            raise BudgetError(
                "`max_flash`, `max_ram` and `board` are for families of kscale: what a "
                "hypermodel needs on a device is not known."
            )

    def _check_machines(self) -> None:
        if self.cluster is not None:
            check_address(self.cluster)
        if self.machines == 1:
            return
        if self.cluster is None:
            raise SpecError(
                "`machines` needs the `cluster` that has them; without Ray, TF_CONFIG "
                "on each machine names all of them."
            )
        if self.workers is not None:
            raise SpecError(
                "`machines` share each training, and `workers` train one each: leave "
                "out one of them."
            )

    def _check_names(self) -> None:
        named = {
            "searcher": SEARCHERS,
            "effort": EFFORTS,
            "precision": PRECISIONS,
            "parametrization": PARAMETRIZATIONS,
        }
        self._check_bits()
        for name, known in named.items():
            value = getattr(self, name)
            if value not in known and (value is not None or name != "effort"):
                raise SpecError(unknown_name(name, value, known))
        if self.for_law and self.searcher != "auto":
            raise SpecError(
                "`for_law` chooses the networks itself: leave out `searcher` (now "
                f"{self.searcher}), or `for_law`."
            )
        if self.examples_ladder and not (self.for_law and self.hypermodel is None):
            raise SpecError(
                "`examples_ladder` trains families for the law of error against size: "
                "it needs `for_law`, and no `hypermodel`."
            )

    @property
    def has_workers(self) -> bool:
        """Whether other processes train, each another network."""
        is_asked = self.workers is not None or self.cluster is not None
        return is_asked and self.machines == 1

    @property
    def chosen_effort(self) -> str | None:
        """The effort that was named or is the default; None for no such limit."""
        is_limited = self.trials is not None or self.time_limit is not None
        return self.effort or (None if is_limited else "normal")

    @property
    def stops_when_flat(self) -> bool:
        """Whether the search also ends where further training promises too little."""
        if self.stop_when_flat is not None:
            return self.stop_when_flat
        is_counted = self.effort is None and self.trials is not None
        return self.effort != "thorough" and not is_counted

    @property
    def most_trials(self) -> int:
        """Most specs to try, as a number."""
        return MOST_TRIALS if self.trials is None else self.trials

    def budget(self, memory_batch: int = 32) -> Budget:
        """The limits; memory is that of training steps of `memory_batch` examples."""
        names = [item.name for item in fields(Budget) if hasattr(self, item.name)]
        limits = {name: getattr(self, name) for name in names}
        limits["bits"] = BITS[str(self.bits)]
        return Budget(**limits_with(limits, self.board), memory_batch=memory_batch)

    def _check_bits(self) -> None:
        if str(self.bits) not in BITS:
            raise SpecError(unknown_name("number of bits", str(self.bits), BITS))
        trains_finalists = self.finalist_seeds > 0 and not self.for_law
        if BITS[str(self.bits)] == (32,):
            return
        if self.max_bytes is None or self.hypermodel or not trains_finalists:
            raise SpecError(
                "Bits of weights are for a search of families within max_bytes that "
                "ends with finalists: `bits` needs `max_bytes`, and excludes "
                "`hypermodel`, `for_law` and `finalist_seeds=0`."
            )


def check_address(address: str) -> None:
    """Refuse what is no `host:port`.

    Raises:
        SpecError: There is no such address, or the address is one of IPv6.
    """
    found = _ADDRESS.fullmatch(str(address))
    if not found or not 1 <= int(found[1]) <= _MOST_PORTS:
        raise SpecError(
            "The address of a cluster is HOST:PORT, with the name or IPv4 address of "
            f"its first machine, as 10.0.0.5:6379, not {address!r}."
        )


def searched_knobs(names: str | Sequence[str]) -> tuple[str, ...]:
    """Knobs to vary, each once and in one order, without those that always are."""
    named = {names} if isinstance(names, str) else set(names)
    knobs = [knob for family in FAMILIES.values() for knob in family.all_knobs.values()]
    sometimes = {knob.name for knob in knobs if not knob.is_searched}
    always = {knob.name for knob in knobs} - sometimes
    return tuple(sorted(named - always - {"learning_rate"}))
