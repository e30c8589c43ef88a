"""Trainings in processes of Ray: the same search, whatever dies meanwhile."""

import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from itertools import count
from pathlib import Path
from socket import gethostname, socketpair
from typing import Any, cast

import psutil
import pytest
from tuning.cluster.poisonous import Unreadable, build
from tuning.made_data import digits, small_spec

from kscale import Listener, Run, plan_search, tune
from kscale.engine.progress import epochs_in
from kscale.errors import ClusterError, ResultsError, SpecError
from kscale.runs.folder import read_records
from kscale.runs.records import Training
from kscale.search.contract import Job
from kscale.tuning.attempts import MemberWeights
from kscale.tuning.cluster import slots
from kscale.tuning.cluster.connection import Connection, Node
from kscale.tuning.cluster.slots import Actor, shared, silent_among
from kscale.tuning.cluster.worker import Kit, Worker
from kscale.tuning.places import make_executor

pytest.importorskip("ray")

RANDOM: dict[str, Any] = {
    "family": "mlp",
    "max_params": 1000,
    "trials": 3,
    "epochs": 3,
    "batch_size": 256,
    "finalist_seeds": 2,
    "most_finalists": 2,
    "searcher": "random",
    "settings": {"depth": 1, "norm": "none"},
}
LONG: dict[str, Any] = {
    **RANDOM,
    "trials": 1,
    "epochs": 400,
    "batch_size": 32,
    "finalist_seeds": 0,
    "checkpoint_seconds": 0.0,
    "workers": 1,
}


def actors() -> list[psutil.Process]:
    """Processes below this one that train."""
    found = psutil.Process().children(recursive=True)
    return [each for each in found if "ray::Worker" in name_of(each)]


def name_of(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    """No process of Ray outlives a search."""
    yield
    end = time.monotonic() + 10
    while any("ray" in name_of(each) for each in psutil.Process().children(True)):
        assert time.monotonic() < end
        time.sleep(0.1)


def trainings_in(folder: Path) -> list[Training]:
    return [item for item in read_records(folder) if isinstance(item, Training)]


def test_two_processes_train_what_this_one_does(tmp_path: Path) -> None:
    here = tune(digits(), run=tmp_path / "here", **RANDOM)
    there = tune(digits(), run=tmp_path / "there", workers=2, **RANDOM)
    whole = {t.key: t for t in trainings_in(here.folder)}
    found = trainings_in(there.folder)
    assert sorted(t.key for t in found) == sorted(whole)
    for training in found:
        assert training.score == pytest.approx(whole[training.key].score, abs=1e-6)
    assert there.best().params == here.best().params
    files = [{path.name for path in run.folder.iterdir()} for run in (here, there)]
    assert files[0] == files[1]


def test_a_machine_that_does_not_see_the_run_folder_is_named(tmp_path: Path) -> None:
    """Another folder may lie there under the same path."""
    mark, unused = tmp_path / "of-this-search.mark", (cast(Any, None),) * 2
    worker = Worker()
    worker.start(Kit(mark, *unused), {})
    text = f"{gethostname()} does not see {tmp_path}: "
    with pytest.raises(ClusterError, match=text):
        worker.poll(10.0)


def test_a_process_takes_a_gpu_or_else_a_core_and_nodes_share_the_processes() -> None:
    gpus = [Node("a", "a", 16, 4, 0), Node("b", "b", 16, 0, 0)]
    assert shared(gpus, None) == (4, {"num_cpus": 0, "num_gpus": 1}, {"a": 4})
    assert shared(gpus, 9) == (9, {"num_cpus": 0, "num_gpus": 0.3333}, {"a": 9})
    assert shared(gpus, 10**6)[:2] == (16, {"num_cpus": 0, "num_gpus": 0.25})
    more = [*gpus, Node("c", "c", 16, 2, 0)]
    assert shared(more, 8) == (8, {"num_cpus": 0, "num_gpus": 0.5}, {"a": 4, "c": 4})
    assert shared(more, 6)[1] == {"num_cpus": 0, "num_gpus": 1}
    cores = [Node(name, name, 8, 0, 0) for name in "ab"]
    assert shared(cores, None) == (16, {"num_cpus": 1}, {"a": 8, "b": 8})
    assert shared(cores, 5) == (5, {"num_cpus": 1}, {"a": 3, "b": 3})
    with pytest.raises(ClusterError, match="no cores and no GPUs"):
        shared([Node("a", "a", 0, 0, 0)], None)


def test_processes_that_are_silent_together_are_lost_with_their_machine() -> None:
    def actor(node: str, silent: float, is_started: bool = True) -> Actor:
        host = node.upper()
        return Actor(None, None, 0, silent, host, node, is_started)

    first, second, alone, well = (
        actor("a", 15.1),
        actor("a", 14.6),
        actor("b", 15.1),
        actor("b", 0.5),
    )
    assert silent_among([first, alone, second, well]) == {
        first: True,
        alone: False,
        second: True,
    }
    only, starting, late = (
        actor("c", 15.1),
        actor("c", 100.0, False),
        actor("", 200.0, False),
    )
    assert silent_among([only, starting, late]) == {only: False}
    starting.silent = 180.1
    assert silent_among([only, starting, late]) == {only: False, starting: False}


def test_a_lost_node_of_this_machine_is_told_at_each_look() -> None:
    node, other_end = socketpair()
    with node, Connection("", node, ExitStack()) as connection:
        assert not connection.check_alive() and not connection.is_lost
        other_end.close()
        for _ in range(2):
            with pytest.raises(ClusterError, match="node of this machine is gone"):
                connection.check_alive()
        assert connection.is_lost


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"workers": 0}, "`workers >= 1` must hold"),
        ({"cluster": "head"}, "is HOST:PORT"),
        ({"workers": 2, "strategy": "mirrored"}, "leave out --strategy"),
        ({"workers": 2, "max_latency_ms": 1.0}, "leave out --workers"),
    ],
)
def test_what_processes_cannot_do_is_refused(
    tmp_path: Path, options: dict[str, Any], text: str
) -> None:
    with pytest.raises(SpecError, match=text):
        tune(digits(), run=tmp_path / "run", **{**RANDOM, **options})
    assert not (tmp_path / "run").exists()


def test_a_search_that_cannot_begin_leaves_no_folder(
    tmp_path: Path,
) -> None:
    with pytest.raises(ClusterError):
        tune(digits(), run=tmp_path / "run", cluster="127.0.0.1:1", **RANDOM)
    assert not (tmp_path / "run").exists()


class AtEpoch(Listener):
    """Sends the actors a signal in an epoch of the search, once.

    Attributes:
        epochs: Epochs heard of, of trainings of the search.
        pids: Of the actors that had the signal.
    """

    def __init__(self, epoch: int, number: int = signal.SIGKILL) -> None:
        self.epoch = epoch
        self.number = number
        self.epochs: list[int] = []
        self.pids: list[int] = []

    def epoch_done(self, job: Job, member: int, epochs: int, score: float) -> None:
        if job.stage != "search":
            return
        self.epochs.append(epochs)
        if epochs >= self.epoch and not self.pids:
            for process in actors():
                self.pids.append(process.pid)
                os.kill(process.pid, self.number)


def check_goes_on(run: Run, listener: AtEpoch) -> None:
    """One result of all epochs, of two attempts, the second not from the beginning."""
    assert listener.pids
    counts = Counter(t.key for t in trainings_in(run.folder))
    assert set(counts.values()) == {1}
    assert {t.status for t in trainings_in(run.folder)} == {"ok"}
    assert max(listener.epochs) == LONG["epochs"]
    assert listener.epochs.count(1) == 1
    assert not list((run.folder / "models").glob("*.*.npz"))
    assert not any(map(psutil.pid_exists, listener.pids))


@pytest.mark.slow
def test_a_killed_process_is_replaced_and_its_training_goes_on(tmp_path: Path) -> None:
    listener = AtEpoch(20)
    run = tune(digits(), run=tmp_path / "run", listener=listener, **LONG)
    check_goes_on(run, listener)


@pytest.mark.slow
def test_a_stopped_process_is_noticed_killed_and_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slots, "SILENT_SECONDS", 3.0)
    listener = AtEpoch(20, signal.SIGSTOP)
    run = tune(digits(), run=tmp_path / "run", listener=listener, **LONG)
    check_goes_on(run, listener)


@pytest.mark.slow
def test_a_training_that_kills_its_processes_fails_and_the_search_goes_on(
    tmp_path: Path,
) -> None:
    """The models are those of a user's function, which goes to the processes."""
    options = {**RANDOM, "hypermodel": build, "finalist_seeds": 0, "max_params": 500}
    del options["family"], options["settings"]
    run = tune(digits(), run=tmp_path / "run", workers=2, **options)
    status = {t.spec.width: (t.status, t.reason) for t in run.trainings if t.spec.width}
    assert status == {
        4: ("ok", ""),
        5: ("ok", ""),
        6: ("failed", "the process died twice while training it"),
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    ("is_slow", "why"), [(False, "no spam here"), (True, "no answer for . s")]
)
def test_a_search_that_no_process_can_read_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_slow: bool, why: str
) -> None:
    monkeypatch.setattr(slots, "START_SECONDS", 4.0)
    options = {**RANDOM, "hypermodel": Unreadable(is_slow), "max_params": 500}
    del options["family"], options["settings"]
    text = f"Processes on {gethostname()} end while they start: .*{why}"
    with pytest.raises(ClusterError, match=text):
        tune(digits(), run=tmp_path / "run", workers=1, **options)


@pytest.mark.slow
def test_a_ray_that_does_not_start_leaves_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_OVERRIDE_RESOURCES", "{")
    with pytest.raises(ClusterError, match="Ray did not start"):
        tune(digits(), run=tmp_path / "run", workers=1, **RANDOM)
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_when_time_is_up_all_processes_write_their_checkpoints(tmp_path: Path) -> None:
    """So that the same command goes on from there."""
    many = {"epochs": 100_000, "checkpoint_seconds": 600.0, "strategy": "one"}
    plan = plan_search(digits(), **{**LONG, **many, "workers": 2})
    executor = make_executor(plan, plan.trainers(), tmp_path, Listener())
    for index in range(2):
        job = Job("search", index, small_spec(), (1,), (1e-3,), epochs_to=100_000)
        weights = MemberWeights(tmp_path, job, 0)
        executor.submit(weights.begin(30.0))
    outcomes = executor.finished()
    executor.close()
    assert [outcome.training for outcome in outcomes] == [None, None]
    for outcome in outcomes:
        assert epochs_in(outcome.assignment.target) > 0


@pytest.mark.slow
def test_a_disk_that_takes_no_checkpoint_ends_the_search(tmp_path: Path) -> None:
    """With the sentence that it has in one process."""
    models, numbers = tmp_path / "run" / "models", count()

    class Breaking(Listener):
        def epoch_done(self, job: Job, member: int, epochs: int, score: float) -> None:
            while job.stage == "search" and models.is_dir():
                models.rename(tmp_path / f"gone {next(numbers)}")
                with suppress(IsADirectoryError):  # a worker may make the folder again
                    models.touch()

    with pytest.raises(ResultsError, match="models/.* cannot be written: File exists"):
        tune(digits(), run=tmp_path / "run", listener=Breaking(), **LONG)
