"""Real searches in real clusters, whose processes are killed and stopped.

What becomes of a search when one process dies or stops that trains is in
test_ray_executor.py.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from tuning import killed_search
from tuning.cluster import eager_kscale
from tuning.cluster.ray_nodes import KSCALE, environment, free_block, running
from tuning.cluster.two_nodes import Cluster, marked, two_nodes

from kscale.engine.progress import epochs_in
from kscale.runs.folder import RESULTS_FILE, read_records
from kscale.runs.records import Training

pytestmark = pytest.mark.slow

EPOCHS = 200
TRIALS = 4
SEARCH = (
    *("tune", "--max-params", "1k", "--family", "mlp", "--searcher", "random"),
    *("--set", "depth=1", "--set", "norm=none", "--batch-size", "64"),
    *("--epochs", f"{EPOCHS}", "--trials", f"{TRIALS}", "--finalist-seeds", "0"),
)
SECONDS = 240.0


class Search:
    """`kscale tune` in a process.

    Args:
        folder: Of the run.
        environment: What the process is started with.
        options: Further ones of the command.
    """

    def __init__(
        self, folder: Path, environment: dict[str, str], *options: str
    ) -> None:
        self.folder = folder
        self._log = folder.with_suffix(".txt")
        command = [sys.executable, eager_kscale.__file__, *SEARCH, "--run", str(folder)]
        with self._log.open("w") as told:
            self.process = subprocess.Popen(
                [*command, *options],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=told,
                text=True,
                start_new_session=True,
            )

    def wait_for(self, is_so: Callable[[], object]) -> None:
        """Wait until something happened in the search."""
        end = time.monotonic() + SECONDS
        while not is_so():
            assert self.process.poll() is None and time.monotonic() < end, self.told()
            time.sleep(0.02)

    def epochs(self) -> list[int]:
        """Epochs of each training of the search that is out."""
        paths = self.folder.glob("models/search-*.*.npz")
        return [epochs for path in paths if (epochs := epochs_in(path))]

    def end(self) -> int:
        """Wait for the end; the exit code."""
        self.answer = self.process.communicate(timeout=SECONDS)[0]
        return self.process.returncode

    def told(self) -> str:
        """What stands on the terminal beside the answer."""
        return self._log.read_text()

    def trainings(self) -> list[Training]:
        records = read_records(self.folder)
        return [item for item in records if isinstance(item, Training)]

    def check_whole(self) -> None:
        """All trainings are there once, and nothing that is no result."""
        assert self.end() == 0, self.told()
        trainings = self.trainings()
        counts = Counter(training.key for training in trainings)
        assert set(counts.values()) == {1}, counts
        assert sum(key.startswith("search") for key in counts) == TRIALS
        assert {training.status for training in trainings} == {"ok"}
        for path in self.folder.glob("models/*.npz"):
            with np.load(path) as arrays:
                assert all(np.isfinite(arrays[n]).all() for n in arrays if "/" in n)
        check_clean(self.folder)

    def check_one_line(self) -> str:
        """The search ended with an error, and that is the last of its own words."""
        assert self.end() == 1, self.told()
        lines = self.told().splitlines()
        assert [line for line in lines if line.startswith("Error: ")] == lines[-1:]
        check_words(lines)
        return lines[-1]


def check_clean(folder: Path) -> None:
    """No file is left of what did not end, and none that is written in part."""
    names = [path.name for path in folder.rglob("*")]
    assert not [name for name in names if ".partial" in name or ".attempts" in name]
    assert not list(folder.glob("models/*.*.npz"))
    assert not (folder / "data").exists()
    assert (folder / RESULTS_FILE).read_bytes().endswith(b"\n")


def check_words(lines: list[str]) -> None:
    """Nothing of Ray's own stands on the terminal, and no traceback."""
    foreign = ("Traceback", "raylet", "core_worker", "rpc", "GCS", "(pid")
    assert not [line for line in lines if any(word in line for word in foreign)]


@contextmanager
def searching(
    folder: Path, environment: dict[str, str], *options: str
) -> Iterator[Search]:
    """A search that is gone at the end."""
    search = Search(folder, environment, *options)
    with search.process:
        try:
            yield search
        finally:
            search.process.kill()


def family_of(node: "subprocess.Popen[bytes]") -> list[psutil.Process]:
    parent = psutil.Process(node.pid)
    return [parent, *parent.children(recursive=True)]


def on(cluster: Cluster) -> tuple[str, str]:
    return "--cluster", cluster.address


def test_what_a_killed_node_trained_is_trained_elsewhere(tmp_path: Path) -> None:
    with (
        two_nodes(tmp_path) as cluster,
        searching(tmp_path / "run", cluster.environment, *on(cluster)) as search,
    ):
        search.wait_for(lambda: len(search.epochs()) == 2)
        for process in family_of(cluster.nodes[1]):
            process.kill()
        search.check_whole()
    check_words(search.told().splitlines())


def test_what_a_stopped_node_goes_on_with_counts_for_nothing(tmp_path: Path) -> None:
    with (
        two_nodes(tmp_path) as cluster,
        searching(tmp_path / "run", cluster.environment, *on(cluster)) as search,
    ):
        search.wait_for(lambda: len(search.epochs()) == 2)
        stopped = family_of(cluster.nodes[1])
        for process in stopped:
            process.suspend()
        search.wait_for(lambda: "ended or stopped" in search.told())
        for process in stopped:
            process.resume()
        search.check_whole()
    check_words(search.told().splitlines())


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("gcs_server", "The head of the Ray cluster is gone"),
        ("raylet", "The Ray node of this machine is gone"),
    ],
)
def test_without_its_head_a_search_ends_and_goes_on_with_another(
    tmp_path: Path, name: str, text: str
) -> None:
    """The same without the node of the machine of the command."""
    folder, long = tmp_path / "run", ("--epochs", "2000")
    with (
        two_nodes(tmp_path) as cluster,
        searching(folder, cluster.environment, *on(cluster), *long) as search,
    ):
        search.wait_for(lambda: len(search.epochs()) == 2)
        command, *others = family_of(cluster.head)
        command.suspend()  # which would end the other one as well
        for process in others:
            if process.name() == name:
                process.kill()
        assert text in search.check_one_line()
        seen = (folder / RESULTS_FILE).read_bytes()
    with (
        two_nodes(tmp_path) as cluster,
        searching(folder, cluster.environment, *on(cluster), *long) as search,
    ):
        search.check_whole()
    assert (folder / RESULTS_FILE).read_bytes().startswith(seen)


def test_a_node_that_joins_a_search_trains_too(tmp_path: Path) -> None:
    port = free_block(20_000)
    options = ["--workers", "1", "--port"]
    with running([*KSCALE, "node", *options, str(port)], tmp_path) as head:
        assert head.stdout is not None
        address = head.stdout.readline().split()[-1]
        more = ("--cluster", address, "--epochs", "800")
        with searching(tmp_path / "run", environment(tmp_path), *more) as search:
            search.wait_for(search.epochs)
            options = [address, *options, str(free_block(port + 1000))]
            with running([*KSCALE, "node", *options], tmp_path):
                search.wait_for(lambda: len(search.epochs()) == 2)
                search.check_whole()


@pytest.fixture
def own(tmp_path: Path) -> Iterator[dict[str, str]]:
    """An environment that marks all processes, which are gone at the end."""
    mark = str(tmp_path)
    environment = {k: v for k, v in os.environ.items() if "RAY_" not in k}
    yield {**environment, "KSCALE_TEST_CLUSTER": mark}
    left = marked(mark)
    _, alive = psutil.wait_procs(left, timeout=90)
    for process in alive:
        process.kill()
    assert not alive, [process.cmdline() for process in alive]


def test_a_command_killed_in_a_line_does_nothing_twice(
    tmp_path: Path, own: dict[str, str]
) -> None:
    """And proposes what one proposes that is not killed."""

    def found(folder: str, kills: list[list[Any]], *workers: str) -> dict[str, Any]:
        command = [sys.executable, killed_search.__file__]
        asked = json.dumps({str(tmp_path / folder): kills})
        said = subprocess.run(
            [*command, asked, "4", "2", *workers],
            env=own,
            capture_output=True,
            text=True,
        )
        assert said.returncode == 0, said.stderr
        (ends,) = json.loads(said.stdout.splitlines()[-1]).values()
        assert ends == [signal.SIGKILL] * len(kills) + [0]
        records = read_records(tmp_path / folder)
        trainings = [item for item in records if isinstance(item, Training)]
        by_key = {training.key: training for training in trainings}
        assert len(by_key) == len(trainings)
        check_clean(tmp_path / folder)
        return by_key

    kills = [["epoch", 5], ["append", 2], ["written", 2]]
    killed, whole = found("killed", kills, "2"), found("whole", [])
    assert killed.keys() == whole.keys()
    for key, training in killed.items():
        assert training.score == pytest.approx(whole[key].score, abs=1e-6)


def test_ctrl_c_ends_processes_too_and_shows_the_answer_so_far(
    tmp_path: Path, own: dict[str, str]
) -> None:
    with searching(tmp_path / "run", own, "--workers", "2") as search:
        search.wait_for(lambda: len(search.trainings()) > 2 and search.epochs())
        os.killpg(search.process.pid, signal.SIGINT)
        assert search.end() == 130, search.told()
    lines = search.told().splitlines()
    assert lines[-1] == "Interrupted; the same command goes on from here."
    check_words(lines)
    assert "mlp" in search.answer
    with searching(tmp_path / "run", own, "--workers", "2") as search:
        search.check_whole()


def test_a_time_limit_ends_processes_and_their_checkpoints_go_on(
    tmp_path: Path, own: dict[str, str]
) -> None:
    limit = ("--workers", "2", "--epochs", "200000", "--time", "40s")
    with searching(tmp_path / "run", own, *limit) as search:
        assert search.end() == 0, search.told()
    check_words(search.told().splitlines())
    assert "the same command goes on" in search.told()


def test_a_second_command_for_the_same_folder_is_refused(
    tmp_path: Path, own: dict[str, str]
) -> None:
    with searching(tmp_path / "run", own, "--workers", "2") as search:
        search.wait_for(search.epochs)
        command = [*search.process.args, "--workers", "1"]  # type: ignore[misc]
        second = subprocess.run(command, env=own, capture_output=True, text=True)
        assert second.returncode == 1
        assert "is in use by another kscale process" in second.stderr
        search.check_whole()


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Callable[[str], None]]:
    """A disk of a size in a folder; gives what changes the size."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no disk can be mounted here")

    def resize(size: str) -> None:
        again = ["mount", "-o", f"remount,size={size}", str(folder)]
        subprocess.run(again, check=True)

    try:
        yield resize
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_is_one_line_and_nothing_half(
    tmp_path: Path, own: dict[str, str]
) -> None:
    with small_disk(tmp_path / "disk", "1000k") as resize:
        folder = tmp_path / "disk" / "run"
        log = folder.with_suffix(".txt")
        log.symlink_to(tmp_path / "told.txt")
        with searching(folder, own, "--workers", "2") as search:
            line = search.check_one_line()
        assert line.endswith("No space left on device.")
        assert not list(folder.rglob("*.partial"))
        assert len(search.trainings()) == (folder / RESULTS_FILE).read_bytes().count(
            b'"type":"training"'
        )
        resize("50m")
        with searching(folder, own, "--workers", "2") as search:
            search.check_whole()
