"""Where the token of a cluster lies, and who may read it."""

import os
import stat
from pathlib import Path

import pytest

from kscale.errors import ClusterError
from kscale.tuning.cluster.auth_tokens import (
    find_or_make_token,
    read_token,
    token_path,
)
from kscale.tuning.cluster.environment import ray_environment

pytestmark = pytest.mark.usefixtures("home")


def token_file(path: Path, text: str, mode: int = 0o600) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_tokens_are_looked_for_in_the_order_of_ray(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token_file(token_path(), "of-the-home\n")
    assert read_token() == "of-the-home"
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(token_file(home / "named", "named")))
    assert read_token() == "named"
    monkeypatch.setenv("RAY_AUTH_TOKEN", "told")
    assert read_token() == "told"
    assert read_token(token_file(home / "given", "given")) == "given"


def test_a_missing_token_is_refused_where_ray_would_look(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ClusterError, match=f"no token in {token_path()}"):
        read_token()
    token_file(token_path(), "of the home")
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(home / "nowhere"))
    with pytest.raises(ClusterError, match="no token in .*nowhere"):
        read_token()


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o602])
def test_a_token_that_others_may_read_or_write_is_refused(mode: int) -> None:
    path = token_file(token_path(), "secret", mode)
    with pytest.raises(ClusterError, match=f"chmod 600 {path}") as error:
        read_token()
    assert "secret" not in str(error.value)
    with pytest.raises(ClusterError, match="chmod 600"):
        find_or_make_token()


def test_an_empty_file_and_a_folder_hold_no_token(home: Path) -> None:
    with pytest.raises(ClusterError, match="is empty"):
        read_token(token_file(home / "empty", " \n"))
    with pytest.raises(ClusterError, match="holds no token: Is a directory"):
        read_token(home)


@pytest.mark.parametrize("token", ["two words", "two\nlines", "schlüssel", "\0"])
def test_a_token_that_the_network_cannot_carry_is_refused(
    home: Path, monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    path = token_file(home / "given", token)
    with pytest.raises(ClusterError, match=f"{path} holds no token, .* one word"):
        read_token(path)
    if token != "\0":
        monkeypatch.setenv("RAY_AUTH_TOKEN", token)
        with pytest.raises(ClusterError, match="^RAY_AUTH_TOKEN holds no token"):
            find_or_make_token()


def test_a_fresh_token_is_its_owners_alone_and_stays(home: Path) -> None:
    before = os.umask(0)
    try:
        token = find_or_make_token()
    finally:
        os.umask(before)
    assert len(token) == 64
    assert mode_of(token_path()) == 0o600
    assert mode_of(token_path().parent) == 0o700
    assert find_or_make_token() == token == read_token()
    other = find_or_make_token(home / "new" / "token")
    assert other != token
    assert mode_of(home / "new" / "token") == 0o600


def test_no_file_is_made_where_the_environment_has_a_token(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN", "told")
    assert find_or_make_token() == "told"
    assert not token_path().exists()


def test_the_environment_is_as_before_when_a_connection_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN", "told")
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    before = dict(os.environ)
    with ray_environment("fresh", is_local=True):
        assert os.environ["RAY_AUTH_TOKEN"] == "fresh"
        assert os.environ["RAY_AUTH_MODE"] == "token"
    assert dict(os.environ) == before
