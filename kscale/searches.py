"""The whole path of one search: from data and a budget to a run with an answer."""

import math
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from kscale.building.backbone_weights import check_weights
from kscale.engine.tensorflow.devices import make_strategy, replicas_of
from kscale.errors import BudgetError, ResultsError
from kscale.guests.keras_tuner_projects.project import import_project
from kscale.guests.present_model.retraining import check_retrainable
from kscale.guests.present_model.scoring import load_present
from kscale.networks.blueprint import flat_layers
from kscale.networks.pretrained_record import Backbone
from kscale.run import Run
from kscale.runs.folder import RecordsWriter, read_records
from kscale.runs.records import Record
from kscale.search.pool import Pool
from kscale.task.tasks import Task
from kscale.tuning.driver import Session
from kscale.tuning.latency_limit import LatencyGate
from kscale.tuning.listeners import Listener
from kscale.tuning.plan import AnyPool, Plan, plan_search
from kscale.tuning.single_point import single_point


class SearchInterrupted(KeyboardInterrupt):
    """Ctrl-C during a search; what was finished is in `run`."""

    def __init__(self, run: Run) -> None:
        super().__init__()
        self.run = run


def tune(
    data: Any = "digits",
    *,
    max_params: float | None = None,
    max_flops: float | None = None,
    max_bytes: float | None = None,
    max_memory: float | None = None,
    max_latency_ms: float | None = None,
    latency_batch: int = 1,
    family: str | Sequence[str] = "auto",
    search: str | Sequence[str] = (),
    settings: Mapping[str, Any] | None = None,
    class_weights: str = "none",
    objective: str | None = None,
    trials: int = 20,
    time_limit: float | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    seed: int = 0,
    seeds: int = 1,
    finalist_seeds: int = 3,
    most_finalists: int = 5,
    hypermodel: Any = None,
    depth_knob: str | None = None,
    width_knob: str | None = None,
    strategy: str = "auto",
    baseline: Any = None,
    retrain_baseline: bool = False,
    run: str | Path | None = None,
    checkpoint_seconds: float = 15.0,
    listener: Listener | None = None,
) -> Run:
    """Search how deep and how wide a network should be within a budget.

    Called again with the same arguments it goes on where it was stopped; nothing that
    was finished is trained again.

    Args:
        data: Anything `kscale.load_dataset` takes.
        max_params: Most weights.
        max_flops: Most FLOPs of one example forward.
        max_bytes: Most bytes of the float32 weights.
        max_memory: Most bytes that training holds, predicted before the network is
            built; see `Size.training_bytes`.
        max_latency_ms: Most milliseconds of a forward pass, measured on this device
            before a network is trained.
        latency_batch: Examples of that forward pass.
        family: Name of a family or several; `auto` takes what suits the data.
        search: Knobs to vary besides depth, width and learning rate.
        settings: Values of knobs that are not to be varied, `learning_rate` included.
        class_weights: `balanced` for every class to count the same in the loss,
            however rare it is, or `none`.
        objective: A metric by its Keras name; accuracy, or the root mean squared error.
            Of several targets it is the mean over them, each by that metric: without
            one, and for `mean`, accuracy of classes and R2 of real values.
        trials: Most specs to try, before the finalists.
        time_limit: Most seconds; the finalists are part of it.
        epochs: Epochs of each training; without it enough for about 1,600 steps.
        batch_size: Examples a step.
        seed: Decides every proposal and every training.
        seeds: Trainings of each spec tried.
        finalist_seeds: New trainings of each finalist; 0 leaves finalists out.
        most_finalists: Most finalists.
        hypermodel: A `keras_tuner.HyperModel` or function `build(hp)` of your own to
            search instead of a family, or `module:name` of one, which is imported. It
            is given the data as it is: images and numbers unscaled, class ids, values
            in their unit. Models that it compiles are trained by its own `fit`.
        depth_knob, width_knob: Its hyperparameters that reports show as depth and
            width, if they are whole; without them those of the names depth and width.
        strategy: `auto`, `one`, `mirrored` or `none`; see `make_strategy`.
        baseline: Your present model to compare with, a `keras.Model` or the path of a
            `.keras` file: it is counted, and scored as it is on the same validation and
            test parts. It gets the raw inputs, or where it does better with them, those
            divided by their largest value or as networks read them; a note says which.
            It gives classes in the order of the data's, or values in your unit.
        retrain_baseline: Whether it is also trained anew with the same recipe, at a
            learning rate of 0.001 unless `settings` has another.
        run: Folder of the run; without it `runs/` and a name made from the arguments.
        checkpoint_seconds: Least time between two checkpoints of one training.
        listener: Hears of progress.

    Returns:
        The run, with all results, the front and the trained models.

    Raises:
        BudgetError: There is no limit, or nothing fits it.
        DataError: The data cannot be read, or cannot be trained on.
        SpecError: A family, knob, value or strategy is unknown or impossible.
        ResultsError: The folder holds another search or is in use.
        TrialError: Every training failed.
        ExportError: The weights of a pretrained network are missing or do not suit it,
            or the file of the baseline cannot be read.
        SearchInterrupted: Ctrl-C; a `KeyboardInterrupt`.
    """
    started = time.monotonic()
    devices = make_strategy(strategy)
    plan = plan_search(
        data,
        max_params=max_params,
        max_flops=max_flops,
        max_bytes=max_bytes,
        max_memory=max_memory,
        max_latency_ms=max_latency_ms,
        latency_batch=latency_batch,
        family=family,
        search=search,
        settings=settings,
        class_weights=class_weights,
        objective=objective,
        trials=trials,
        time_limit=time_limit,
        epochs=epochs,
        batch_size=batch_size,
        seed=seed,
        seeds=seeds,
        finalist_seeds=finalist_seeds,
        most_finalists=most_finalists,
        hypermodel=hypermodel,
        depth_knob=depth_knob,
        width_knob=width_knob,
        strategy=strategy,
        baseline=baseline,
        retrain_baseline=retrain_baseline,
        replicas=replicas_of(devices),
    )
    check_weights(_backbones(plan))
    present = load_present(plan)
    if present is not None and retrain_baseline:
        check_retrainable(present)
    about = {} if present is None else {"baseline": present.to_json()}
    folder = Path("runs") / plan.name if run is None else Path(run)
    if run is not None and not str(run).strip():
        raise ResultsError("The name of the run folder is empty; give another one.")
    listener = listener or Listener()
    if plan.own is not None:
        plan.own.read(folder, listener.note, trials)
    deadline = math.inf if time_limit is None else started + time_limit
    existed = folder.is_dir()
    is_new = not existed or not any(folder.iterdir())
    with RecordsWriter(folder, plan.description()) as writer:
        writer.add_session(plan.session(), about)
        if plan.own is not None:
            plan.own.keep(folder)
        gate: LatencyGate | None = None
        pool: AnyPool = plan.pool
        if plan.space.budget.max_latency_ms is not None:
            recorded = read_records(folder)
            gate = LatencyGate(plan, folder, recorded, writer.append, deadline)
        if gate is not None and isinstance(pool, Pool):
            try:
                pool = _narrowed(gate, pool, listener)
            except BudgetError:
                if is_new:
                    shutil.rmtree(folder, ignore_errors=True)
                    if existed:
                        folder.mkdir()
                raise
        session = Session(
            plan,
            folder,
            writer,
            devices,
            listener,
            deadline,
            checkpoint_seconds,
            gate,
            pool,
            present,
            _write_page,
        )
        _run(session)
    return Run(folder, session.recorded)


def train(
    family: str,
    knobs: Mapping[str, Any] | None = None,
    data: Any = "digits",
    *,
    class_weights: str = "none",
    objective: str | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    seed: int = 0,
    seeds: int = 1,
    strategy: str = "auto",
    baseline: Any = None,
    retrain_baseline: bool = False,
    run: str | Path | None = None,
    listener: Listener | None = None,
) -> Run:
    """Train one network and score it on the test part.

    It is a search whose budget is the network's own size, so it leaves a run folder
    with all that a search leaves: results, majority and linear rows, report, model.
    The network is the answer of the run, though the linear one may be better.

    Args:
        family: Name of a family.
        knobs: Values of its knobs, `learning_rate` included; the others keep their
            defaults.
        data: Anything `kscale.load_dataset` takes.
        class_weights, objective, epochs, batch_size, seed, seeds, strategy, baseline,
            retrain_baseline, run, listener: As `tune`.

    Raises:
        KscaleError: As `tune`.
    """
    return tune(
        **single_point(family, knobs, data),
        class_weights=class_weights,
        objective=objective,
        epochs=epochs,
        batch_size=batch_size,
        seed=seed,
        seeds=seeds,
        strategy=strategy,
        baseline=baseline,
        retrain_baseline=retrain_baseline,
        run=run,
        listener=listener,
    )


def read_keras_tuner(
    directory: str | Path,
    hypermodel: Any,
    run: str | Path | None = None,
    *,
    task: Task | None = None,
) -> Run:
    """A finished project of KerasTuner as a run; see `import_project`.

    Args:
        directory, hypermodel, run, task: As `import_project`.

    Raises:
        ResultsError, SpecError: As `import_project`.
    """
    return Run(import_project(directory, hypermodel, run, task=task))


def _run(session: Session) -> None:
    try:
        session.run()
    except KeyboardInterrupt as error:
        raise SearchInterrupted(Run(session.folder, session.recorded)) from error


def _write_page(folder: Path, results: Sequence[Record]) -> None:
    Run(folder, results).write(folder / "report.html")


def _backbones(plan: Plan) -> Iterator[Backbone]:
    """The backbones of all networks that the search may train."""
    having = {f.name: f for f in plan.space.families if "backbone" in f.all_knobs}
    for spec in plan.pool.specs() if having else ():
        if spec.family in having:
            blueprint = having[spec.family].blueprint(spec, plan.dataset.task)
            for layer in flat_layers(blueprint):
                if isinstance(layer, Backbone):
                    yield layer


def _narrowed(gate: LatencyGate, pool: Pool, listener: Listener) -> Pool:
    """What of a pool may be fast enough; says so if that had to be measured."""
    narrow = gate.narrow(pool)
    if gate.measurements:
        networks = (
            "1 network" if gate.measurements == 1 else f"{gate.measurements} networks"
        )
        listener.note(
            f"Measured the latency of {networks}: {len(narrow):,} of {len(pool):,} "
            "specs may be fast enough."
        )
    for family in pool.space.families:
        if not narrow.by_family({family.name: 1}).any():
            listener.note(f"Family {family.name} is left out: all of it is too slow.")
    return narrow
