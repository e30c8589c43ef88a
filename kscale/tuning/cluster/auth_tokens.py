"""The token of a Ray cluster: in which file, and who may read the file."""

import os
import re
from pathlib import Path
from secrets import token_hex

from kscale.errors import ClusterError, cause_of

_OTHERS = 0o077  # all rights of the group and of others


def token_path() -> Path:
    """The file where Ray and kscale look for a token that the environment lacks."""
    return Path.home() / ".ray" / "auth_token"


def read_token(path: str | Path | None = None) -> str:
    """The token of a file; without a path, the token that Ray itself would take.

    Ray's order: RAY_AUTH_TOKEN, the file of RAY_AUTH_TOKEN_PATH, ~/.ray/auth_token.

    Raises:
        ClusterError: There is no token, others may read the file of the token, or the
            network cannot carry the token.
    """
    token = "" if path else os.environ.get("RAY_AUTH_TOKEN", "").strip()
    where = "RAY_AUTH_TOKEN" if token else str(path or _named_path())
    token = token or _read(Path(where))
    if not re.fullmatch(r"[!-~]+", token):
        raise ClusterError(
            f"{where} holds no token, which is one word of ASCII characters. Copy the "
            "token file of the cluster's first machine."
        )
    return token


def _named_path() -> Path:
    return Path(os.environ.get("RAY_AUTH_TOKEN_PATH") or token_path())


def _read(path: Path) -> str:
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            mode = os.fstat(file.fileno()).st_mode
            token = file.read().strip()
    except FileNotFoundError as error:
        raise ClusterError(
            f"There is no token in {path}, and a cluster is joined with its token "
            "only. Copy that file from its first machine, or set RAY_AUTH_TOKEN."
        ) from error
    except OSError as error:
        raise ClusterError(f"{path} holds no token: {cause_of(error)}.") from error
    if os.name == "posix" and mode & _OTHERS:
        raise ClusterError(f"Others may read the token: chmod 600 {path}.")
    if not token:
        raise ClusterError(f"The file {path} is empty, and should hold a token.")
    return token


def find_or_make_token(path: str | Path | None = None) -> str:
    """As `read_token`; a missing token is made, in a file that only its owner reads."""
    missing = Path(path or _named_path())
    if (path or not os.environ.get("RAY_AUTH_TOKEN", "").strip()) and (
        not missing.exists()
    ):
        _write(missing, fresh_token())
    return read_token(path)


def fresh_token() -> str:
    """A random token of 256 bits, as Ray makes them."""
    return token_hex(32)


def _write(path: Path, token: str) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    made = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(made, "w", encoding="ascii") as file:
        file.write(token)
