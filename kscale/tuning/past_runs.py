"""Past runs: what trainings took on this machine before."""

import os
import platform
import re
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from kscale.errors import ResultsError
from kscale.networks.families import FAMILIES, find_family
from kscale.networks.families.base import Spec
from kscale.networks.sizing import Size
from kscale.runs.folder import RUN_FILE, RecordedRun
from kscale.task.tasks import Task
from kscale.tuning.costs import CostModel

_MOST_RUNS = 10


def this_machine() -> dict[str, Any]:
    """What decides how long trainings take, found without a start of TensorFlow."""
    try:
        about = Path("/proc/cpuinfo").read_text()
    except OSError:
        about = ""
    model = re.search(r"^model name\s*:\s*(.+)$", about, re.MULTILINE)
    return {
        "processor": model[1] if model else platform.processor(),
        "cores": os.cpu_count() or 1,
        "gpus": len([*Path("/proc/driver/nvidia/gpus").glob("*")]),
    }


def remember_runs(costs: CostModel, folder: Path = Path("runs")) -> int:
    """Let a cost model learn from the latest runs on a machine of this kind.

    Args:
        costs: Learns what trainings took, of whatever data.
        folder: Where run folders lie.

    Returns:
        How many runs it learned from.
    """
    paths = sorted(folder.glob(f"*/{RUN_FILE}"), key=os.path.getmtime)
    known = filter(None, (_costs_of(path.parent) for path in reversed(paths)))
    latest = [*islice(known, _MOST_RUNS)]  # older folders are not read
    for each in reversed(latest):
        costs.learn(each)
    return len(latest)


def _costs_of(folder: Path) -> CostModel | None:
    """What has seen the trainings of a run; None where they say nothing of here."""
    try:
        run = RecordedRun(folder)
    except ResultsError:
        return None
    about = run.description
    trainings = [t for t in run.trainings if t.spec.family in FAMILIES and t.seconds]
    machines = [session.get("machine") for session in about.get("sessions", ())]
    if not trainings or any(machine != this_machine() for machine in machines):
        return None
    size = partial(_size_for, run.task)
    costs = CostModel(about["data"]["train"], about["identity"]["batch_size"], size)
    for training in trainings:
        costs.see(training)
    return costs


def _size_for(task: Task, spec: Spec) -> Size:
    return find_family(spec.family).size(spec, task)
