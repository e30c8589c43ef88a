"""Where trainings run: on devices here, in processes, or on several machines."""

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path

from kscale.data.stored import data_folder, store_dataset
from kscale.engine.strategies import strategy_for, worker_count
from kscale.errors import SpecError
from kscale.networks.views import VIEW_KINDS
from kscale.tuning.device_executor import DeviceExecutor, TrainerOf
from kscale.tuning.executor import Executor, LocalExecutor
from kscale.tuning.listeners import Listener
from kscale.tuning.plan import Plan
from kscale.tuning.request import SearchRequest

Note = Callable[[str], None]
"""Takes a sentence for the user."""

# Imports inside functions: those modules start TensorFlow or Ray, which takes seconds.


def placed(plan: Plan, note: Note) -> Plan:
    """The plan with the strategy that trains where the request says.

    Raises:
        ClusterError: As of `check_asked_cluster`.
        MissingPackageError: Processes are asked for, and Ray is not installed.
        SpecError: What is asked for excludes each other.
    """
    request = plan.request
    if request.has_workers:
        return _in_processes(plan)
    workers = worker_count() if request.strategy in ("auto", "workers") else 0
    if request.machines > 1:
        if workers or request.strategy not in ("auto", "workers"):
            raise SpecError(
                "Machines of --cluster share each training: leave out --strategy, and "
                "TF_CONFIG."
            )
        workers = request.machines
    if workers > 1 or request.strategy == "workers":
        return _on_machines(plan, workers, note)
    return _on_devices(plan, note)


def check_asked_cluster(request: SearchRequest) -> None:
    """Refuse processes that Ray cannot start here or in the cluster that is named.

    Raises:
        ClusterError: The cluster cannot be joined.
        MissingPackageError: Ray is not installed.
    """
    if request.has_workers or request.machines > 1:
        from kscale.tuning.cluster.connection import check_connectable

        check_connectable(request.cluster)


def _in_processes(plan: Plan) -> Plan:
    """Each training has a process, and each process a device."""
    request = plan.request
    if request.strategy not in ("auto", "one") or worker_count() > 1:
        raise SpecError(
            "Each process of --workers or --cluster trains on one device: leave out "
            "--strategy, and TF_CONFIG."
        )
    if request.max_latency_ms is not None:
        raise SpecError(
            "With a limit on latency one network is trained at a time, on this "
            "machine: leave out --workers and --cluster."
        )
    check_asked_cluster(request)
    return replace(plan, request=replace(request, strategy="one"))


def _on_machines(plan: Plan, workers: int, note: Note) -> Plan:
    """All machines share each training."""
    request = plan.request
    if plan.candidates.most_work == math.inf or request.retrain_baseline:
        raise SpecError(
            "Several machines train families only: leave out the hypermodel, and "
            "--retrain-baseline."
        )
    views = VIEW_KINDS.keys() & {*request.search, *request.settings}
    if views:
        raise SpecError(
            "On several machines all networks see the same data: leave out "
            f"`{min(views)}`."
        )
    check_asked_cluster(request)
    if workers > 1:
        note(f"{workers} workers share each training; this one waits for the others.")
    return replace(plan, request=replace(request, strategy="workers"))


def _on_devices(plan: Plan, note: Note) -> Plan:
    """Several devices of this machine train as suits the networks."""
    from kscale.engine.engines import device_names

    request, work = plan.request, plan.candidates.most_work
    may_train_at_once = work < math.inf and request.max_latency_ms is None
    if request.strategy == "each" and not may_train_at_once:
        raise SpecError(
            "With a hypermodel or a limit on latency, one network is trained at a "
            "time: `each` is not possible, and `mirrored` is."
        )
    devices = device_names() if request.strategy == "auto" else ()
    if len(devices) < 2:
        return plan
    if not may_train_at_once:
        return replace(plan, request=replace(request, strategy="mirrored"))
    found = strategy_for(work * plan.recipe.batch_size)
    note(
        f"Each of {len(devices)} devices trains networks of its own; "
        "--strategy mirrored shares each training."
        if found == "each"
        else f"{len(devices)} devices share each training, as networks are large; "
        "--strategy each trains one on each device."
    )
    return replace(plan, request=replace(request, strategy=found))


def make_executor(
    plan: Plan, trainer_of: TrainerOf, folder: Path, listener: Listener
) -> Executor:
    """What runs the trainings of a plan: in processes, on each device here, or one
    after the other.

    Args:
        plan: The search.
        trainer_of: Gives the trainer of a spec, on the first device.
        folder: Folder of the run.
        listener: Hears of epochs and notes.
    """
    on_epoch = listener.epoch_done
    if plan.request.has_workers:
        from kscale.tuning.cluster.ray_executor import RayExecutor

        return RayExecutor(plan, trainer_of, folder, on_epoch, listener.note)
    if plan.request.strategy != "each":
        return LocalExecutor(trainer_of, on_epoch)
    from kscale.engine.engines import device_names

    trainers = [trainer_of]
    for name in device_names()[1:]:
        there = replace(plan.request, strategy=name)
        trainers.append(replace(plan, request=there).trainers())
    return DeviceExecutor(trainers, on_epoch)


def all_machines(
    request: SearchRequest, note: Note
) -> AbstractContextManager[Callable[[], bool]]:
    """Inside, all machines of a cluster that share each training have met; what is
    given says, after a loss, whether the training may have caused the loss."""
    if request.cluster is None or request.machines == 1:
        return nullcontext(lambda: True)
    from kscale.tuning.cluster.group import group

    return group(request.cluster, request.machines, request.class_weights, note)


@contextmanager
def shared_data(plan: Plan, folder: Path) -> Iterator[None]:
    """Inside, the data lie in the run folder where other machines of a cluster that
    share each training open them."""
    if plan.request.machines == 1:
        yield
        return
    from kscale.engine.engines import make_engine

    with data_folder(folder / "data") as data:
        store_dataset(plan.dataset, data)
        make_engine(plan.request.strategy).share(data)
        yield
