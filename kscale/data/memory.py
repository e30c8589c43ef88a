"""Memory that this process may still take."""

from pathlib import Path

_GROUPS = Path("/sys/fs/cgroup")  # where Linux shows the limits of a container
# Limit, use, and the line of memory.stat of what the system gives back when needed:
# version 2 and version 1 of control groups.
_FILES = (
    ("memory.max", "memory.current", "memory.stat", "inactive_file"),
    (
        "memory/memory.limit_in_bytes",
        "memory/memory.usage_in_bytes",
        "memory/memory.stat",
        "total_inactive_file",
    ),
)


def free_bytes(groups: Path = _GROUPS) -> int:
    """Bytes free on this machine, or in its container where that has less."""
    import psutil  # needed only where data is loaded or a network built

    free = int(psutil.virtual_memory().available)
    return min(free, *(_left(groups, *names) for names in _FILES))


def _left(groups: Path, limit: str, used: str, stat: str, returned: str) -> int:
    """Bytes left to a container; 2^63 without a limit."""
    try:
        lines = (groups / stat).read_text().splitlines()
        numbers = dict(line.split() for line in lines)
        held = int((groups / used).read_text()) - int(numbers.get(returned, 0))
        return max(0, int((groups / limit).read_text()) - held)
    except (OSError, ValueError):  # no container, or "max"
        return 2**63
