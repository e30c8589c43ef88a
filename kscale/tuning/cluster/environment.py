"""What Ray finds around it: environment variables, and a private folder."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

_LONGEST_FOLDER = 25  # a longer one leaves no room for the names of Ray's sockets


@contextmanager
def ray_environment(token: str, is_local: bool) -> Iterator[None]:
    """Set the variables that Ray reads; the earlier values return with the block's end.

    Args:
        token: The secret without which the cluster answers nobody.
        is_local: Whether Ray stays on this machine. Ray binds its ports to 127.0.0.1
            then, which Ray does by itself on macOS and Windows.
    """
    ours = {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": token,
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_worker_niceness": "0",  # of a process in place of this one; else 15
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": str(int(not is_local)),
    }
    if is_local:  # certificates name machines, not 127.0.0.1
        ours["RAY_USE_TLS"] = "0"
    before = {name: os.environ.get(name) for name in ours}
    os.environ.update(ours)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def uses_tls() -> bool:
    """Whether Ray encrypts what goes over the network, as it reads RAY_USE_TLS."""
    return os.environ.get("RAY_USE_TLS", "0").lower() in ("1", "true")


def private_folder() -> AbstractContextManager[str]:
    """A temporary folder that only this user may open, deleted at the end.

    Every user may open the folders that Ray makes in this one.
    """
    folder = tempfile.gettempdir()
    return tempfile.TemporaryDirectory(
        prefix="kscale-",
        dir=folder if len(folder) <= _LONGEST_FOLDER else "/tmp",
        ignore_cleanup_errors=True,
    )
