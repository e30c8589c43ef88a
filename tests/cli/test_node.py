"""`kscale node` where no node is started: what is refused, and what is not touched."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from kscale.cli import main

pytestmark = pytest.mark.usefixtures("home")


def refused(*arguments: str) -> str:
    """The one line with which a node is refused."""
    done = CliRunner().invoke(main, ["node", *arguments])
    assert (done.exit_code, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    return line


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0.0.0.0", ""])
def test_a_node_that_no_other_machine_reaches_is_no_node(home: Path, host: str) -> None:
    assert f"reach, not {host!r}. For this machine" in refused("--host", host)
    assert not list(home.iterdir())


@pytest.mark.parametrize("host", ["192.0.2.1", "no.such.host.invalid", "::1", "a b"])
def test_the_host_of_a_node_is_an_address_of_its_machine(home: Path, host: str) -> None:
    assert f"{host!r} is no IPv4 address of this machine" in refused("--host", host)
    assert not list(home.iterdir())


@pytest.mark.parametrize("address", ["", "http://10.0.0.5:6379", "10.0.0.5:99999"])
def test_what_is_no_address_is_refused_at_once(home: Path, address: str) -> None:
    assert "is HOST:PORT, with the name or IPv4" in refused(address)
    assert not list(home.iterdir())


def test_ports_in_use_are_named_before_anything_is_written(home: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("", 0))
        taken.listen()
        port = taken.getsockname()[1] - 1
        line = refused("10.0.0.5:6379", "--port", str(port))
    assert f"Port {port + 1} of this machine is in use" in line
    assert not list(home.iterdir())


def test_a_node_that_joins_makes_no_token(home: Path) -> None:
    assert "no token in" in refused("10.0.0.5:6379", "--port", "61000")
    assert not list(home.iterdir())
    loose = home / "loose"
    loose.write_text("token")
    loose.chmod(0o644)
    assert f"chmod 600 {loose}" in refused("--token", str(loose), "--port", "61000")


def test_the_dashboard_belongs_to_the_first_node() -> None:
    line = refused("10.0.0.5:6379", "--dashboard", "--port", "61000")
    assert "--dashboard" in line


def test_a_cluster_without_a_token_is_refused_before_anything_starts(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(home)
    asked = ["tune", "--max-params", "1k", "--cluster", "127.0.0.1:1"]
    done = CliRunner().invoke(main, asked)
    (line,) = done.stderr.splitlines()
    assert "no token in" in line
    assert not list(home.iterdir())


def test_help_imports_no_ray() -> None:
    script = (
        "import sys; from kscale.cli import main\n"
        "try: main(sys.argv[1:])\n"
        "finally: assert not {'ray', 'grpc', 'tensorflow'} & set(sys.modules)"
    )
    for arguments in (["--help"], ["node", "--help"]):
        done = subprocess.run(
            [sys.executable, "-c", script, *arguments], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        assert "node" in done.stdout
