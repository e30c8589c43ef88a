"""Real processes that train one network together, over loopback."""

import json
import os
import pickle
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
from tensorflow.python.eager import context
from warm_python import WarmPython

from kscale import train
from kscale.engine.strategies import leads_workers, missing_workers, worker_count
from kscale.engine.tensorflow.devices import make_strategy
from kscale.engine.tensorflow.workers import meet_within, together
from kscale.errors import SpecError, WorkerLostError
from kscale.runs.folder import RecordedRun

TASK = "/job:worker/replica:0/task:1"

# Worker 1 is a fork of worker 0, and ends first.
FORKED = """
import json, os, sys
hosts, folder = json.loads(sys.argv[1]), sys.argv[2]
worker = os.fork()
index = 0 if worker else 1
task = {"type": "worker", "index": index}
os.environ["TF_CONFIG"] = json.dumps({"cluster": {"worker": hosts}, "task": task})
"""

TWO_WORKERS = """
from kscale import searches, train
folder = f"{folder}/{index}"
try:
    train("cnn", {"depth": 1, "width": 8, "norm": "batch"}, epochs=2, run=folder)
    assert index == 0
except searches.SearchFollowed:
    print("followed", flush=True)
    os._exit(0)
os.waitpid(worker, 0)
"""

# Both workers make each call; each tells of the weights and statistics that it has.
TWO_DIGESTS = """
import hashlib
import numpy as np
from kscale.data.loading import load_dataset
from kscale.engine.engines import make_engine
from kscale.engine.family_network import family_network
from kscale.engine.recipe import Recipe
from kscale.engine.tensorflow.epochs import EpochProgram
from kscale.networks.families import find_family
engine, data = make_engine("workers"), load_dataset("digits")
recipe = Recipe.for_examples(len(data.train), 2, None, 2)
spec = find_family("cnn").spec(depth=1, width=8, norm="batch")
network = family_network(spec, data.task)
program = EpochProgram(network, engine.place(data), recipe, engine.strategy)
program.start([1], [0.003])
program.run_epoch([recipe.order(len(data.train), 1, 0, None)])
digest = hashlib.sha256()
for variable in [*program.model.variables, *program.optimizer.variables]:
    digest.update(np.asarray(variable).tobytes())
with open(f"{folder}/{index}", "w") as file:
    file.write(digest.hexdigest())
if index:
    os._exit(0)
os.waitpid(worker, 0)
"""

# A worker without others, which leads a program of two networks.
TWO_MEMBERS = """
import json, os, sys
hosts, folder = json.loads(sys.argv[1]), sys.argv[2]
task = {"type": "worker", "index": 0}
os.environ["TF_CONFIG"] = json.dumps({"cluster": {"worker": hosts}, "task": task})
import numpy as np
from pathlib import Path
from tuning.made_data import digits, small_spec
from kscale.engine.engines import make_engine
from kscale.engine.family_network import family_network
from kscale.engine.progress import Progress, arrays_in
from kscale.engine.recipe import Recipe
engine, recipe = make_engine("workers"), Recipe(epochs=1, batch_size=256)
network = family_network(small_spec(), digits().task)
program = engine.program([network] * 2, engine.place(digits()), recipe)
program.start([1, 2], [0.01, 0.02])
first, second = (Path(folder, f"{name}.npz") for name in "01")
for member, path in enumerate((first, second)):
    program.save(path, Progress(1), member)
kernels = [max(arrays_in(it).values(), key=np.size) for it in (first, second)]
print(np.abs(kernels[0] - kernels[1]).max() > 0.01)
program.load(first, 1)
program.save(second, Progress(1), 1)
print(np.array_equal(kernels[0], max(arrays_in(second).values(), key=np.size)))
"""


def free_hosts() -> list[str]:
    """Two addresses of this machine where nobody listens."""
    with socket.socket() as first, socket.socket() as second:
        for each in (first, second):
            each.bind(("localhost", 0))
        return [f"localhost:{each.getsockname()[1]}" for each in (first, second)]


def figures_of(folder: Path) -> dict[str, Any]:
    (found,) = (t for t in RecordedRun(folder).trainings if t.stage == "search")
    return {"score": [found.score], **found.curve}


@pytest.mark.slow
def test_two_workers_train_what_one_trains_and_worker_0_has_the_run(
    warm_python: WarmPython, tmp_path: Path
) -> None:
    done = warm_python.run_here(
        FORKED + TWO_WORKERS, json.dumps(free_hosts()), tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "followed\n"
    assert [path.name for path in tmp_path.iterdir()] == ["0"]
    assert (tmp_path / "0" / "models" / "recommended.keras").exists()
    knobs = {"depth": 1, "width": 8, "norm": "batch"}
    train("cnn", knobs, epochs=2, run=tmp_path / "one")
    one = figures_of(tmp_path / "one")
    for name, figures in figures_of(tmp_path / "0").items():
        assert figures == pytest.approx(one[name], abs=1e-2)


@pytest.mark.slow
def test_workers_have_equal_weights_and_moving_statistics(
    warm_python: WarmPython, tmp_path: Path
) -> None:
    done = warm_python.run_here(
        FORKED + TWO_DIGESTS, json.dumps(free_hosts()), tmp_path
    )
    assert done.returncode == 0, done.stderr
    first, second = ((tmp_path / name).read_text() for name in "01")
    assert first == second


def test_checkpoints_of_several_networks_hold_each_of_them(
    warm_python: WarmPython, tmp_path: Path
) -> None:
    hosts = json.dumps(free_hosts()[:1])
    done = warm_python.run_here(TWO_MEMBERS, hosts, tmp_path)
    assert done.stdout == "True\nTrue\n", done.stderr


@contextmanager
def worker(
    index: int, hosts: list[str], folder: Path, epochs: int = 150
) -> Iterator[Any]:
    """A worker of `kscale train`, started by its command."""
    task = {"type": "worker", "index": index}
    config = json.dumps({"cluster": {"worker": hosts}, "task": task})
    shape = ["--depth", "1", "--width", "8", "--set", "norm=batch"]
    shape += ["--epochs", str(epochs)]
    command = [sys.executable, "-m", "kscale", "train", "cnn", *shape, "--run", folder]
    path = os.pathsep.join(sys.path)
    with subprocess.Popen(
        command,
        env={**os.environ, "TF_CONFIG": config, "PYTHONPATH": path},
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.slow
@pytest.mark.parametrize(("lost", "end_it"), [(0, signal.SIGKILL), (1, signal.SIGTERM)])
def test_a_lost_worker_comes_back_and_all_go_on(
    lost: int, end_it: signal.Signals, tmp_path: Path
) -> None:
    hosts, folders = free_hosts(), [tmp_path / "0", tmp_path / "1"]
    kept = 1 - lost
    with worker(kept, hosts, folders[kept]) as survivor:
        with worker(lost, hosts, folders[lost]) as killed:
            end = time.monotonic() + 120
            while not list(tmp_path.glob("0/models/search-*.npz")):
                assert time.monotonic() < end
                time.sleep(0.2)
            killed.send_signal(end_it)
            killed.wait(timeout=20)
        with worker(lost, hosts, folders[lost]) as again:
            said = survivor.communicate(timeout=200)[1]
            assert again.wait(timeout=60) == survivor.returncode == 0
    assert said.count("A worker was lost") == 1 and "Starting again" in said
    trained = RecordedRun(folders[0]).trainings
    *_, found = (t for t in trained if t.stage == "search")  # by rungs
    assert found.epochs == len(found.curve["loss"]) == 150
    assert not folders[1].exists()


@pytest.mark.slow
def test_workers_that_are_asked_different_things_are_told(tmp_path: Path) -> None:
    hosts = free_hosts()
    with (
        worker(0, hosts, tmp_path / "0", 2) as first,
        worker(1, hosts, tmp_path / "1", 3) as second,
    ):
        for process in (first, second):
            last = process.communicate(timeout=120)[1].splitlines()[-1]
            assert last.startswith("Error: The workers were asked different things")
            assert process.returncode == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("error", "is_gone"),
    [
        # Messages of TensorFlow name the device of a step, too.
        (
            tf.errors.ResourceExhaustedError(None, None, f"OOM on {TASK}/device:G"),
            False,
        ),
        (tf.errors.UnavailableError(None, None, f"no heartbeat of {TASK}"), True),
        (tf.errors.InternalError(None, None, f"{TASK} ended"), True),
        (tf.errors.InternalError(None, None, "no kernel"), False),
    ],
)
def test_a_worker_whose_step_failed_is_not_gone(
    error: tf.errors.OpError, is_gone: bool
) -> None:
    with pytest.raises(WorkerLostError) as caught, together():
        raise error
    lost = pickle.loads(pickle.dumps(caught.value))  # as on the way from a follower
    assert (lost.is_gone, f"gone: {TASK}" in str(lost)) == (is_gone, is_gone)


def test_workers_are_missing_where_nobody_listens(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    missing, first = free_hosts()
    with socket.create_server(("localhost", 0)) as there:
        here = f"localhost:{there.getsockname()[1]}"
        cluster = {"worker": [first, here, missing]}
        config = {"cluster": cluster, "task": {"type": "worker", "index": 0}}
        monkeypatch.setenv("TF_CONFIG", json.dumps(config))
        assert leads_workers()
        assert missing_workers() == [missing]


def test_workers_that_must_meet_within_a_time_are_waited_for_no_longer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first, missing = free_hosts()
    task = {"type": "worker", "index": 0}
    config = {"cluster": {"worker": [first, missing]}, "task": task}
    monkeypatch.setenv("TF_CONFIG", json.dumps(config))
    monkeypatch.setattr(context.context(), "_coordination_service_config", None)
    meet_within(0.1)
    with pytest.raises(SpecError, match=f"No worker listens at {missing}"):
        make_strategy("workers")


@pytest.mark.parametrize(
    ("config", "text"),
    [
        ("", "`workers` needs TF_CONFIG, which is not set"),
        ("{", "TF_CONFIG must be like .* but got '{'"),
        ('{"cluster": {"worker": ["a:1"]}}', "TF_CONFIG must be like"),
        (
            '{"cluster": {"worker": ["a:1"], "ps": ["b:1"]}, "task": {"type": "worker",'
            '"index": 0}}',
            "but got tasks of kind ps",
        ),
    ],
)
def test_a_cluster_that_is_none_is_refused(
    config: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TF_CONFIG", config)
    with pytest.raises(SpecError, match=text):
        make_strategy("workers")


def test_workers_are_counted_as_tensorflow_names_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert worker_count() == 0
    cluster = {"chief": ["a:1"], "worker": ["b:1", "c:1"]}
    config = {"cluster": cluster, "task": {"type": "worker", "index": 1}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(config))
    assert worker_count() == 3 and not leads_workers()
