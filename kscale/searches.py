"""The Python door: a search from data and a budget to a run with an answer."""

import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kscale.data.class_weights import check_class_weights
from kscale.data.loading import load_dataset
from kscale.engine.recipe import Recipe
from kscale.engine.tensorflow.starting import settled, uncollected
from kscale.errors import (
    BudgetError,
    ClusterError,
    KscaleError,
    SpecError,
    WorkerLostError,
)
from kscale.guests.present_model.baseline_file import find_baseline
from kscale.networks.backbones import Backbone
from kscale.networks.blueprint import DepthwiseConv2D, flat_layers
from kscale.networks.budget import STORED, Budget
from kscale.run import Run
from kscale.runs.folder import RUN_FILE, RecordsWriter, read_records, read_run
from kscale.runs.records import Record, is_trained
from kscale.task.objectives import task_objective
from kscale.task.tasks import Task
from kscale.text import counted
from kscale.tuning.auto_families import families_for
from kscale.tuning.family_candidates import FamilyCandidates
from kscale.tuning.listeners import Listener
from kscale.tuning.options import OF_ONE_NETWORK, OPTIONS, single_request, with_options
from kscale.tuning.places import all_machines, placed, shared_data
from kscale.tuning.plan import Plan, family_plan, in_time
from kscale.tuning.references import ReferenceSource
from kscale.tuning.request import SearchRequest
from kscale.tuning.time_policy import TimePolicy

if TYPE_CHECKING:
    from kscale.reports.planned_search import PlannedSearch
    from kscale.tuning.latency_limit import LatencyGate

# Imports inside functions: planning and its errors must not wait for TensorFlow, which
# takes seconds to start.


class SearchInterrupted(KeyboardInterrupt):
    """Ctrl-C during a search; what was finished is in `run`."""

    def __init__(self, run: Run) -> None:
        super().__init__()
        self.run = run


class SearchFollowed(Exception):
    """This process helped worker 0 to train, and worker 0 has the run."""


@with_options([*OPTIONS])
def tune(
    data: Any = "digits", *, listener: Listener | None = None, **options: Any
) -> Run:
    """Search how deep and how wide a network should be within a budget.

    Called again with the same options it goes on where it was stopped; no finished
    training is repeated.

    Args:
        {options}
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
    return search(plan_search(SearchRequest(data, **options)), listener)


@with_options(OF_ONE_NETWORK)
def train(
    family: str,
    knobs: Mapping[str, Any] | None = None,
    data: Any = "digits",
    *,
    listener: Listener | None = None,
    **options: Any,
) -> Run:
    """Train one network and score it on the test part.

    This is a search with the size of the network as its budget, so the run folder has
    all that a search leaves: results, majority and linear rows, report, model. The
    network is the answer of the run, even if the linear baseline is better.

    Args:
        family: Name of a family.
        knobs: Values of its knobs, `learning_rate` included; the others keep their
            defaults.
        {options}
        listener: Hears of progress.

    Raises:
        KscaleError: As `tune`.
    """
    return search(plan_search(single_request(family, knobs, data, **options)), listener)


@with_options([*OPTIONS])
def plan_search(data: Any = "digits", *, replicas: int = 1, **options: Any) -> Plan:
    """What `kscale.tune` would do with the same options.

    In place of the data a `SearchRequest` may be given, with options to change in it.
    No TensorFlow is started, unless a hypermodel starts it.

    Args:
        {options}
        replicas: Copies of the network that train in step.

    Raises:
        BudgetError: There is no limit, or nothing fits it.
        DataError: The data cannot be read, or cannot be trained on.
        ExportError: There is no file of the baseline.
        SpecError: A family, knob, value or strategy is unknown or impossible.
    """
    begun = time.monotonic()
    is_request = isinstance(data, SearchRequest)
    request = replace(data, **options) if is_request else SearchRequest(data, **options)
    present = find_baseline(request.baseline, request.retrain_baseline)
    dataset = load_dataset(request.data)
    recipe = Recipe.for_examples(
        len(dataset.train), request.epochs, request.batch_size, replicas
    )
    objective = task_objective(request.objective, dataset.task)
    check_class_weights(request.class_weights, dataset.task)
    budget = request.budget(recipe.batch_size)
    budget = _storable(request, budget, dataset.task)
    found = (request, dataset, objective, recipe, budget)
    if request.hypermodel is None:
        plan = family_plan(*found)
    else:
        from kscale.guests.hypermodels.user_candidates import user_candidates

        plan = Plan(*found, user_candidates(request, dataset, budget, recipe))
    return replace(plan, baseline=present, seconds=time.monotonic() - begun)


def _storable(request: SearchRequest, budget: Budget, task: Task) -> Budget:
    """A budget in the bits that most weights are stored in; others are refused, unless
    the bits are left to the search.

    The quantizer stores tables of embeddings in 8 bits or leaves them.
    """
    possible, why = {*STORED}, ""
    if any(item.kind == "tokens" for item in task.inputs):
        possible = {32, 8}
        why = (
            "Embeddings of texts and tokens, which are most of such a network, are "
            "stored in 32 or 8 bits: give --bits 8 or auto, or leave out --bits."
        )
    families = families_for(request.family, task) if min(budget.bits) < 8 else ()
    for family in families:
        layers = flat_layers(family.blueprint(family.spec(task), task))
        if any(isinstance(layer, DepthwiseConv2D | Backbone) for layer in layers):
            possible = possible - {4}
            why = why or (
                f"Depthwise layers, as {family.name} has, stay float32 in files of 4 "
                "bits, which are larger than that: give --bits auto, 8 or 16."
            )
    if {*budget.bits} <= possible:
        return budget
    if request.bits != "auto":
        raise SpecError(why)
    return replace(budget, bits=tuple(it for it in budget.bits if it in possible))


@with_options([*OPTIONS])
def plan(
    data: Any = "digits", *, measure: bool = True, **options: Any
) -> "PlannedSearch":
    """What `kscale.tune` would train with the same options, and how long that takes.

    In place of the data a `SearchRequest` or what `plan_search` gives may be given.

    Args:
        {options}
        measure: Whether to train a few networks for some seconds, to know how fast this
            machine is. Otherwise times come from past runs in `runs/` and beside `run`,
            if there are any, and TensorFlow is not started.

    Raises:
        KscaleError: As `plan_search`.
    """
    from kscale.tuning.planning import planned_search

    notes: list[str] = []
    found = data if isinstance(data, Plan) else plan_search(data, **options)
    if measure:
        seconds, begun = found.seconds, time.monotonic()
        found = _suited(found, notes.append)
        found = replace(found, seconds=seconds + time.monotonic() - begun)
    planned = planned_search(_shortened(found, notes.append), measure)
    return replace(planned, notes=(*notes, *planned.notes))


def search(plan: Plan, listener: Listener | None = None) -> Run:
    """Run a search that is planned, or go on with it.

    Args:
        plan: As `plan_search` makes it.
        listener: Hears of progress.

    Raises:
        KscaleError: As `tune`.
        SearchInterrupted: Ctrl-C; a `KeyboardInterrupt`.
        SearchFollowed: This process helped worker 0, which has the run.
    """
    policy = TimePolicy(plan.request.time_limit, plan.seconds)
    listener = listener or Listener()
    with uncollected():
        from kscale.engine.engines import make_engine

        plan = placed(plan, listener.note)
    with all_machines(plan.request, listener.note) as may_be_blamed:
        with uncollected():
            plan = _suited(plan, listener.note)
        engine = make_engine(plan.request.strategy)
        if engine.follow(plan.dataset, plan.request.class_weights, plan.number):
            raise SearchFollowed
        try:
            run = _searched(plan, listener, policy, may_be_blamed)
        except WorkerLostError:  # who is left may hear nothing any more
            raise
        except KscaleError:
            engine.dismiss()
            raise
        engine.dismiss()
    return run


def _searched(
    plan: Plan,
    listener: Listener,
    policy: TimePolicy,
    may_be_blamed: Callable[[], bool],
) -> Run:
    """The run of a plan whose devices are known."""
    from kscale.tuning.driver import Driver

    plan = _with_present(plan)
    plan = _shortened(plan, listener.note)
    request = plan.request
    folder = Path("runs") / plan.name if request.run is None else Path(request.run)
    plan.candidates.prepare(folder, listener.note, request.most_trials)
    plan.searcher()  # which may refuse what there is to search
    with (
        _emptied_if_refused(folder),
        RecordsWriter(folder, plan.description()) as writer,
        shared_data(plan, folder),
    ):
        writer.add_session(plan.session(), plan.about)
        plan.candidates.keep(folder)
        plan, gate = _narrowed(plan, folder, writer, listener, policy)
        about = (plan, folder, writer, listener, policy)
        driver = Driver(
            *about, gate=gate, write_page=_write_page, may_be_blamed=may_be_blamed
        )
        try:
            with settled():
                driver.run()
        except KeyboardInterrupt as error:
            raise SearchInterrupted(Run(folder, driver.recorded)) from error
    return Run(folder, driver.recorded)


@contextmanager
def _emptied_if_refused(folder: Path) -> Iterator[None]:
    """Leave nothing in a new folder where a search is refused before any training."""
    folder = folder.resolve()
    existed = folder.is_dir()
    is_new = not existed or not any(folder.iterdir())
    try:
        yield
    except (BudgetError, ClusterError):
        has_begun = any(folder.glob("models/*.npz"))
        if is_new and not has_begun and not any(map(is_trained, read_records(folder))):
            shutil.rmtree(folder, ignore_errors=True)
            if existed:
                folder.mkdir(exist_ok=True)  # a mount point is emptied and stays
        raise


def _with_present(plan: Plan) -> Plan:
    """The plan with the user's present model among what it is compared with.

    Raises:
        ExportError: The file cannot be read.
        SpecError: The model does not suit the data, or cannot be trained anew.
    """
    request = plan.request
    if plan.baseline is None:
        return plan
    from kscale.guests.present_model.present_scores import load_present
    from kscale.guests.present_model.retraining import (
        RetrainedReference,
        check_retrainable,
    )

    present = load_present(plan.baseline, plan.dataset, plan.objective)
    references: list[ReferenceSource] = [present]
    if request.retrain_baseline:
        check_retrainable(present)
        rate = request.settings.get("learning_rate")
        rates = () if rate is None else (float(rate),)
        references.append(RetrainedReference(present, *rates))
    about = {**plan.about, "baseline": present.to_json()}
    references = [*plan.references, *references]
    return replace(plan, references=tuple(references), about=about)


def _suited(plan: Plan, note: Callable[[str], None]) -> Plan:
    """The plan, with batches that all replicas can share."""
    from kscale.engine.engines import make_engine

    data, request = plan.dataset, plan.request
    replicas = make_engine(request.strategy).devices().replicas
    recipe = Recipe.for_examples(
        len(data.train), request.epochs, request.batch_size, replicas
    )
    if recipe == plan.recipe:
        return plan
    if request.batch_size is not None:
        note(
            f"Batches have {counted(recipe.batch_size, 'example')} in place of "
            f"{request.batch_size}: {replicas} devices share each."
        )
    return plan_search(replace(request, data=data), replicas=replicas)


def _shortened(plan: Plan, note: Callable[[str], None]) -> Plan:
    """The plan with as many epochs as its run folder has, or as a time limit allows.

    A number of epochs that was asked for stays.
    """
    request, began = plan.request, None
    if request.run is not None and (Path(request.run) / RUN_FILE).exists():
        began = read_run(Path(request.run))["identity"].get("epochs")
    if request.epochs is not None or (began or request.time_limit) is None:
        return plan
    found = in_time(plan, request.time_limit or 0.0, began)
    epochs, usual = found.recipe.epochs, plan.recipe.epochs
    if epochs < usual:
        each = f"{counted(epochs, 'epoch')} of each training in place of {usual}"
        note(
            f"The time limit is enough for {each}; --epochs sets another number."
            if began is None
            else f"The search began with {each}, and goes on so; a new --run has all."
        )
    return found


def read_keras_tuner(
    directory: str | Path,
    hypermodel: Any,
    run: str | Path | None = None,
    *,
    task: Task | None = None,
) -> Run:
    """A finished project of KerasTuner as a run: its front, and exact sizes.

    Only the JSON files of the project are read. Each model is counted without its
    weights; one that cannot be built is a failed training with its reason. The scores
    are those of the objective, of one training each; an objective that is no metric of
    kscale is shown without a unit. Each call reads the project anew and replaces what
    the folder of the run held.

    Args:
        directory: Folder of the project, with `oracle.json` and `trial_*` in it.
        hypermodel: What the models were built from: `module:name`, a function of
            hyperparameters or a `keras_tuner.HyperModel`.
        run: Folder of the run; by default one in `runs`, named after the project.
        task: Inputs, for models that have no shapes until they are called, and targets.

    Raises:
        ResultsError: The folder holds no ended trial, or none with a score, or the
            run's folder holds something else.
        SpecError: There is no such hypermodel, or an argument is of a wrong type.
    """
    from kscale.guests.keras_tuner_projects.project import import_project

    return Run(import_project(directory, hypermodel, run, task=task))


def _write_page(folder: Path, results: Sequence[Record]) -> None:
    Run(folder, results).write(folder / "report.html")


def _narrowed(
    plan: Plan,
    folder: Path,
    writer: RecordsWriter,
    listener: Listener,
    policy: TimePolicy,
) -> tuple[Plan, "LatencyGate | None"]:
    """The plan with the specs that may be fast enough, and what measures latencies:
    None without a limit on latency."""
    if plan.budget.max_latency_ms is None:
        return plan, None
    from kscale.tuning.latency_limit import LatencyGate

    gate = LatencyGate(plan, folder, read_records(folder), writer.append, policy)
    candidates = plan.candidates
    if not isinstance(candidates, FamilyCandidates):
        return plan, gate
    pool = candidates.pool
    narrow = gate.narrow(pool)
    if gate.measurements:
        networks = counted(gate.measurements, "network")
        listener.note(
            f"Measured the latency of {networks}: {len(narrow):,} of "
            f"{counted(len(pool), 'spec')} may be fast enough."
        )
    for family in pool.space.families:
        if not narrow.by_family({family.name: 1}).any():
            listener.note(
                f"Family {family.name} is left out: all its networks are too slow."
            )
    return replace(plan, candidates=replace(candidates, pool=narrow)), gate
