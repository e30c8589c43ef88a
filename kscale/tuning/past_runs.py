"""Past runs: what trainings took on this machine before."""

import os
import platform
import re
from itertools import islice
from pathlib import Path
from typing import Any

from kscale.errors import ResultsError
from kscale.networks.families import FAMILIES, find_family
from kscale.runs.folder import RUN_FILE, RecordedRun
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


def remember_runs(costs: CostModel, run: str | Path | None = None) -> int:
    """Let a cost model learn from the latest runs on such a machine.

    Args:
        costs: Learns what trainings took, of whatever data.
        run: Folder of a run, read with all beside it, as are the runs in `runs/`.

    Returns:
        How many runs it learned from.
    """
    rooms = {Path("runs").resolve(), Path(run or "runs/any").resolve().parent}
    found = (path for room in rooms for path in room.glob(f"*/{RUN_FILE}"))
    paths = sorted(found, key=os.path.getmtime)
    known = filter(None, (_costs_of(path.parent) for path in reversed(paths)))
    latest = [*islice(known, _MOST_RUNS)]  # older folders are not read
    for each in reversed(latest):
        costs.learn(each)
    return len(latest)


def _costs_of(folder: Path) -> CostModel | None:
    """A cost model of a run; None for a run without trainings, or of other machines."""
    try:
        run = RecordedRun(folder)
    except ResultsError:
        return None
    about = run.description
    trainings = [t for t in run.trainings if t.spec.family in FAMILIES and t.seconds]
    machines = [session.get("machine") for session in about.get("sessions", ())]
    if not trainings or any(machine != this_machine() for machine in machines):
        return None
    task = run.task  # of many names, slow to read for each size
    costs = CostModel(
        about["data"]["train"],
        about["identity"]["batch_size"],
        lambda spec: find_family(spec.family).size(spec, task),
    )
    for training in trainings:
        costs.see(training)
    return costs
