"""One training on two nodes of a real Ray cluster."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
import tensorflow as tf
from tuning.cluster.two_nodes import Cluster, two_nodes

from kscale import train
from kscale.errors import ClusterError, SpecError
from kscale.runs.folder import RecordedRun
from kscale.runs.records import Training
from kscale.tuning.cluster.connection import Node
from kscale.tuning.cluster.group import _nodes, group
from kscale.tuning.options import single_request

SECONDS = 240.0
SHAPE = ("--depth", "1", "--width", "8", "--set", "norm=batch")


@contextmanager
def training(
    cluster: Cluster, folder: Path, epochs: int, machines: int = 2
) -> Iterator["subprocess.Popen[str]"]:
    """`kscale train` on machines of a cluster, in a process of its own."""
    command = [sys.executable, "-m", "kscale", "train", "cnn", *SHAPE, "--epochs"]
    command += [str(epochs), "--run", str(folder), "--cluster", cluster.address]
    with subprocess.Popen(
        [*command, "--machines", str(machines)],
        env=cluster.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def searched(folder: Path) -> Training:
    """What the search trained, as of the last epoch."""
    *_, found = (t for t in RecordedRun(folder).trainings if t.stage == "search")
    return found


def figures_of(folder: Path) -> dict[str, Any]:
    return {"score": [searched(folder).score], **searched(folder).curve}


@pytest.mark.slow
def test_two_nodes_train_what_one_machine_trains(tmp_path: Path) -> None:
    with (
        two_nodes(tmp_path) as cluster,
        training(cluster, tmp_path / "two", 2) as process,
    ):
        said = process.communicate(timeout=SECONDS)[1]
        assert process.returncode == 0, said
        assert not cluster.processes("ray::Follower")
    assert "it asks for no password" in said and "shared" not in said
    assert not (tmp_path / "two" / "data").exists()
    train(
        "cnn", {"depth": 1, "width": 8, "norm": "batch"}, epochs=2, run=tmp_path / "1"
    )
    one = figures_of(tmp_path / "1")
    for name, figures in figures_of(tmp_path / "two").items():
        assert figures == pytest.approx(one[name], abs=1e-2)


@pytest.mark.slow
def test_after_a_kill_the_group_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with (
        two_nodes(tmp_path) as cluster,
        training(cluster, folder, 150) as process,
    ):
        end = time.monotonic() + SECONDS
        while not list(folder.glob("models/search-*.npz")):
            assert time.monotonic() < end and process.poll() is None
            time.sleep(0.2)
        (follower,) = cluster.processes("ray::Follower")
        follower.kill()
        said = process.communicate(timeout=SECONDS)[1]
        assert process.returncode == 0, said
    assert said.count("A worker was lost (the machine of ") == 1, said
    found = searched(folder)
    assert found.epochs == len(found.curve["loss"]) == 150


@pytest.mark.slow
def test_a_machine_that_dies_is_no_death_of_the_training(tmp_path: Path) -> None:
    """As the same command begins again where another machine, or one alone, trains."""
    folder = tmp_path / "run"

    def attempt_after(begun: int) -> Path | None:
        """What is noted of an attempt that began after so many nanoseconds."""
        paths = folder.glob("models/*.attempts.json")
        return next((each for each in paths if each.stat().st_mtime_ns > begun), None)

    with (
        two_nodes(tmp_path) as cluster,
        training(cluster, folder, 20_000) as process,
    ):
        end = time.monotonic() + SECONDS
        while not attempt_after(0):
            assert time.monotonic() < end and process.poll() is None
            time.sleep(0.2)
        begun = time.time_ns()
        node = psutil.Process(cluster.nodes[1].pid)
        for each in [*node.children(recursive=True), node]:
            if each.name() == "raylet":
                each.kill()
        while not (again := attempt_after(begun)):
            assert time.monotonic() < end and process.poll() is None
            time.sleep(0.2)
        assert json.loads(again.read_text())["deaths"] == 0


@pytest.mark.slow
def test_more_machines_than_there_are_is_one_line(
    tmp_path: Path,
) -> None:
    with (
        two_nodes(tmp_path) as cluster,
        training(cluster, tmp_path / "run", 2, machines=4) as process,
    ):
        said = process.communicate(timeout=SECONDS)[1]
    assert process.returncode == 1
    assert said.splitlines()[-1].startswith(
        "Error: 4 machines were asked for, and the cluster has 2"
    )
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_worker_that_dies_before_all_have_met_ends_the_command(
    tmp_path: Path,
) -> None:
    """As it may die so each time."""
    with (
        two_nodes(tmp_path) as cluster,
        training(cluster, tmp_path / "run", 2) as process,
    ):
        end = time.monotonic() + SECONDS
        while not (followers := cluster.processes("ray::Follower.follow")):
            assert time.monotonic() < end and process.poll() is None
        followers[0].kill()
        said = process.communicate(timeout=SECONDS)[1]
    assert process.returncode == 1
    last = said.splitlines()[-1]
    assert last.startswith("Error: The worker on the machine of "), said
    assert "ended before all had met" in last


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("gcs_server", "Error: The head of the Ray cluster is gone."),
        ("raylet", "Error: The Ray node of this machine is gone."),
    ],
)
def test_without_its_head_or_node_a_group_ends_with_one_line(
    tmp_path: Path, name: str, text: str
) -> None:
    folder = tmp_path / "run"
    with (
        two_nodes(tmp_path) as cluster,
        training(cluster, folder, 2000) as process,
    ):
        end = time.monotonic() + SECONDS
        while not (folder / "run.json").exists():
            assert time.monotonic() < end and process.poll() is None
            time.sleep(0.2)
        cluster.head.send_signal(signal.SIGSTOP)  # which would end the other one, too
        for each in psutil.Process(cluster.head.pid).children(recursive=True):
            if each.name() == name:
                each.kill()
        said = process.communicate(timeout=90)[1]
    assert process.returncode == 1
    assert said.splitlines()[-1].startswith(text), said
    assert "Traceback" not in said


def test_a_follower_takes_a_machine_like_this_one() -> None:
    here, like, other = (
        Node("a", "a", 8, 2, 0),
        Node("b", "b", 8, 2, 0),
        Node("c", "c", 8, 1, 0),
    )
    assert _nodes([other, like, here], "a", 2) == [like]
    with pytest.raises(ClusterError, match="has 2 with 2 GPUs, as this one has"):
        _nodes([other, like, here], "a", 3)
    with pytest.raises(ClusterError, match="does not know this machine"):
        _nodes([other, like], "a", 2)
    alone = Node("a", "a", 8, 0, 0)
    assert _nodes([alone], "a", 3) == [replace(alone, cpus=0)] * 2


def test_a_process_joins_no_group_after_it_has_used_tensorflow() -> None:
    tf.config.list_logical_devices()
    with (
        pytest.raises(SpecError, match="start another one"),
        group("localhost:1", 2, "none", print),
    ):
        pass


def test_machines_need_a_cluster() -> None:
    with pytest.raises(SpecError, match="`machines` needs the `cluster`"):
        single_request("mlp", machines=2)


def test_machines_and_workers_exclude_each_other() -> None:
    with pytest.raises(SpecError, match="leave out one of them"):
        single_request("mlp", machines=2, workers=2, cluster="localhost:1")


def test_machines_are_not_placed_beside_tf_config(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 0}}'
    monkeypatch.setenv("TF_CONFIG", config)
    with pytest.raises(SpecError, match="leave out --strategy, and TF_CONFIG"):
        train("mlp", machines=2, cluster="localhost:1")
