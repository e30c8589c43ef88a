"""Connections to real Rays: which are refused, what listens, and what is left."""

import re
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from ray_nodes import (
    CONNECT,
    KSCALE,
    answers,
    are_gone,
    connecting,
    environment,
    family_of,
    free_block,
    running,
    wait_until,
)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def first_node(home: Path) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    """The first node of a cluster, which `kscale node` runs, and the address."""
    port = free_block(20_000)
    with running(
        [*KSCALE, "node", "--port", str(port), "--workers", "1"], home
    ) as node:
        assert node.stdout is not None
        first = node.stdout.readline()
        address = re.search(r"kscale node (\S+)$", first)
        assert address, first
        yield address[1], node


@pytest.fixture(scope="module")
def head(first_node: tuple[str, "subprocess.Popen[str]"]) -> str:
    """The address of a cluster."""
    return first_node[0]


def only_line(lines: list[str]) -> str:
    assert len(lines) == 1, lines
    return lines[0]


def test_a_cluster_is_joined_with_its_token_alone(home: Path, head: str) -> None:
    file = home / ".ray" / "auth_token"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    joined = connecting(head, home)
    assert "asks for a token" in joined[0]
    assert joined[1:] == [f"{head} 1"]
    elsewhere = home / "other"
    elsewhere.mkdir()
    assert "no token in" in only_line(connecting(head, elsewhere))
    wrong = connecting(head, elsewhere, RAY_AUTH_TOKEN="0" * 64)
    assert "another token" in only_line(wrong)
    told = connecting(head, elsewhere, RAY_AUTH_TOKEN=file.read_text())
    assert told == joined


def test_a_token_that_others_may_read_is_not_used(home: Path, head: str) -> None:
    copy = home / "copy"
    copy.write_text((home / ".ray" / "auth_token").read_text())
    copy.chmod(0o644)
    refused = only_line(connecting(head, home, RAY_AUTH_TOKEN_PATH=str(copy)))
    assert f"chmod 600 {copy}" in refused
    copy.chmod(0o600)
    assert connecting(head, home, RAY_AUTH_TOKEN_PATH=str(copy))[1] == f"{head} 1"


def test_a_node_joins_with_the_token_alone_and_leaves_nothing(
    home: Path, head: str, tmp_path: Path
) -> None:
    port = str(free_block(int(head.rpartition(":")[2]) + 1000))
    command = [*KSCALE, "node", head, "--port", port, "--workers", "1"]
    refused = subprocess.run(
        command, env=environment(tmp_path), capture_output=True, text=True
    )
    assert refused.returncode == 1
    assert "no token in" in only_line(refused.stderr.splitlines())
    assert not (tmp_path / ".ray").exists()
    with running(command, home) as node:
        assert node.stdout is not None
        assert head in node.stdout.readline()
        assert connecting(head, home)[1] == f"{head} 2"
        started = family_of(node)
        assert len(started) > 3
        node.kill()
        assert are_gone(started)


def test_no_dashboard_and_no_ray_client_listen_unless_asked(
    first_node: tuple[str, "subprocess.Popen[str]"],
) -> None:
    head, node = first_node
    first = int(head.rpartition(":")[2])
    found = [row for each in family_of(node) for row in each.net_connections("tcp")]
    ours = {row.laddr.port for row in found if row.status == "LISTEN"}
    services = {first, first + 1, first + 2, first + 3}
    assert services <= ours  # not 10001 of Ray Client, nor first + 7 of the dashboard
    assert ours - services <= set(range(first + 10, first + 1000)) - {10_001}


def test_a_cluster_that_asks_nobody_is_refused(home: Path, head: str) -> None:
    port = free_block(int(head.rpartition(":")[2]) + 1000)
    start = f"ray.scripts.scripts start --head --block --num-cpus=1 --port={port}"
    command = [sys.executable, "-m", *start.split(), f"--temp-dir={home.parent}/open"]
    with running(command, home, RAY_AUTH_MODE="disabled"):
        assert wait_until(lambda: answers(port))
        refused = only_line(connecting(f"127.0.0.1:{port}", home))
    assert "asks nobody for a token" in refused


def test_nobody_at_an_address_is_one_line(home: Path, head: str) -> None:
    port = free_block(50_000)
    refused = only_line(connecting(f"127.0.0.1:{port}", home))
    assert f"No Ray cluster answers at 127.0.0.1:{port}" in refused
    assert "HOST:PORT" in only_line(connecting("ray://there:1", home))


@pytest.mark.parametrize("is_imported", [False, True])
def test_a_local_ray_listens_on_this_machine_alone_and_ends(
    tmp_path: Path, is_imported: bool
) -> None:
    then = "import os, psutil; me = psutil.Process(); print('listening', *(" + (
        "f'{row.laddr.ip}:{row.laddr.port}'"
        " for each in [me, *me.children(recursive=True)]"
        " for row in each.connections('tcp') if row.status == 'LISTEN'))"
    )
    script = "import ray\n" * is_imported + CONNECT
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script, "", then],
        env=environment(tmp_path),
        capture_output=True,
        text=True,
    )
    note, found, listening = done.stdout.splitlines()
    assert "127.0.0.1 only" in note
    assert found.endswith(" 1")
    places = listening.split()[1:]
    assert len(places) > 4
    assert {place.rpartition(":")[0] for place in places} <= {
        "127.0.0.1",
        "::ffff:127.0.0.1",
    }
    assert not (tmp_path / ".ray").exists()
    port = int(found.split()[0].rpartition(":")[2])
    assert not answers(port)


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_of_a_local_ray_outlives_its_command(
    tmp_path: Path, sent: signal.Signals
) -> None:
    then = "import time; time.sleep(100)"
    with running([sys.executable, "-c", CONNECT, "", then], tmp_path) as process:
        assert process.stdout is not None
        process.stdout.readline(), process.stdout.readline()
        started = family_of(process)
        assert len(started) > 3
        commands = " ".join(word for each in started for word in each.cmdline())
        folders = set(re.findall(r"[/\w]+/kscale-\w{8}(?=/)", commands))
        assert [Path(each).is_dir() for each in folders] == [True]
        process.send_signal(sent)
        assert are_gone(started)
        assert process.stdout.read() == ""
    assert not any(Path(each).exists() for each in folders)


def test_ray_is_the_users_again_when_a_connection_ended(tmp_path: Path) -> None:
    script = CONNECT + (
        "import ray\n"
        "ray.init(num_cpus=1, include_dashboard=False, logging_level='ERROR')\n"
        "print('mine', int(ray.cluster_resources()['CPU']))\n"
        "try: connect(None, 1, print)\n"
        "except KscaleError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script, "", ""],
        env=environment(tmp_path),
        capture_output=True,
        text=True,
    )
    mine, refused = done.stdout.splitlines()[2:]
    assert mine == "mine 1"
    assert "connected to a Ray already" in refused
