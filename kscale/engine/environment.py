"""What kscale runs on: versions, devices, memory, and what is missing."""

import platform
from configparser import ConfigParser
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any

import psutil
import tensorflow as tf
from packaging.requirements import Requirement

from kscale.data.memory import free_bytes
from kscale.text import counted
from kscale.units import format_bytes

_SOURCE = Path(__file__).parents[2]


@dataclass(frozen=True)
class Environment:
    """Installed packages and the machine.

    Args:
        python: Version of Python.
        packages: By name, the version installed, or an empty text.
        problems: One sentence, with the remedy, for each package that is missing or of
            a wrong version.
        devices: Names of the devices TensorFlow sees.
        cores: Logical processor cores.
        memory_bytes: Memory that is free now.
    """

    python: str
    packages: dict[str, str]
    problems: tuple[str, ...]
    devices: tuple[str, ...]
    cores: int
    memory_bytes: int

    @property
    def is_ready(self) -> bool:
        """Whether nothing is missing that a search needs."""
        return not self.problems

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {**asdict(self), "is_ready": self.is_ready}

    def __str__(self) -> str:
        lines = [f"Python {self.python}, {counted(self.cores, 'core')}"]
        lines += [
            f"{name} {number or 'MISSING'}" for name, number in self.packages.items()
        ]
        lines.append(f"devices: {', '.join(self.devices)}")
        lines.append(f"free memory: {format_bytes(self.memory_bytes)}")
        lines += [f"Problem: {problem}" for problem in self.problems]
        lines.append("Ready." if self.is_ready else "Not ready.")
        return "\n".join(lines)


def check_environment() -> Environment:
    """Versions, devices and memory of this process, and what is missing."""
    number, requirements = _distribution()
    packages: dict[str, str] = {"kscale": number}
    problems = []
    for text in requirements:
        wanted = Requirement(text)
        if wanted.marker is not None and not wanted.marker.evaluate({"extra": ""}):
            continue
        packages[wanted.name] = found = _installed(wanted.name)
        if not found or not wanted.specifier.contains(found, prereleases=True):
            problems.append(
                f"{wanted.name} {found or 'is missing'}; pip install '{wanted}'"
            )
    return Environment(
        platform.python_version(),
        packages,
        tuple(problems),
        tuple(device.name for device in tf.config.list_logical_devices()),
        psutil.cpu_count() or 1,
        free_bytes(),
    )


def _distribution() -> tuple[str, list[str]]:
    """Version and requirements of kscale, from setup.cfg where the folder was never
    installed."""
    number = _installed("kscale")
    if number:
        return number, requires("kscale") or []
    source = ConfigParser()
    source.read(_SOURCE / "setup.cfg", encoding="utf-8")
    wanted = source.get("options", "install_requires", fallback="").splitlines()
    wanted = [text for text in wanted if text and not text.startswith("#")]
    return f"is not installed; it runs from {_SOURCE}", wanted


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
