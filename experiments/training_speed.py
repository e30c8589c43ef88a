"""How fast are small networks trained, by `fit`, by KerasTuner and by kscale?

Command: `python experiments/training_speed.py` (RESULT; `--smoke`: 20 s).
"""

import argparse
import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from speed.cases import SIZES, Case, machine  # noqa: E402
from speed.ways import MEMBERS, WAYS, Seconds  # noqa: E402

OUTPUT = Path(__file__).parent / "results" / "training_speed.jsonl"
DEVICES = ("cpu", "gpu")
FOR_GPUS = ("XLA", "8 at once")
SEED = 0
MEASURES = (
    ("epoch_ms", "milliseconds an epoch", ".1f"),
    ("first_s", "seconds, first training", ".2f"),
    ("second_s", "seconds, second training", ".2f"),
)
PACKAGES = ("kscale", "tensorflow", "keras", "keras-tuner")

Row = dict[str, Any]


def main() -> None:
    """Measure on each device what was not measured yet, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="two small networks")
    parser.add_argument("--family", nargs="+", choices=SIZES, default=[*SIZES])
    parser.add_argument("--way", nargs="+", choices=WAYS, default=[*WAYS])
    parser.add_argument("--device", nargs="+", choices=DEVICES, default=DEVICES)
    parser.add_argument("--fresh", action="store_true", help="measure all of it again")
    parser.add_argument("--json", action="store_true", help="rows, not tables")
    parser.add_argument("--seconds", type=float, default=1e9, help="most time a device")
    parser.add_argument("--worker", choices=DEVICES, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # every network is traced
    if asked.worker:
        work(json.load(sys.stdin), asked.seconds)
        return
    cases = [
        Case(name, *SIZES[name][size])
        for size in range(1 if asked.smoke else 3)
        for name in (asked.family[:2] if asked.smoke else asked.family)
    ]
    known = read_rows()
    for device in DEVICES:
        if device not in asked.device or (device == "gpu" and not machine()["gpu"]):
            continue
        wanted = [
            about(device, case, way)
            for case in cases
            for way in asked.way
            if way not in FOR_GPUS or device == "gpu" or case.is_quick
        ]
        is_new = asked.fresh or asked.smoke
        missing = [row for row in wanted if is_new or key(row) not in known]
        for row in measured(device, missing, asked.seconds):
            known[key(row)] = row
            if not asked.smoke:
                write_rows(known.values())
        rows = [known[key(row)] for row in wanted if key(row) in known]
        print(*map(json.dumps, rows), sep="\n") if asked.json else print_tables(rows)


def key(row: Row) -> tuple[Any, ...]:
    """What tells a row from others: machine, device, network and way."""
    return (*row["machine"].values(), row["device"], row["case"], row["way"])


def read_rows() -> dict[tuple[Any, ...], Row]:
    """All rows there are, by key."""
    text = OUTPUT.read_text() if OUTPUT.exists() else ""
    return {key(row): row for row in map(json.loads, text.splitlines())}


def write_rows(rows: Iterable[Row]) -> None:
    """Replace the file of rows."""
    OUTPUT.write_text("".join(json.dumps(row) + "\n" for row in rows))


def about(device: str, case: Case, way: str) -> Row:
    """A row before anything is measured."""
    return {
        "machine": machine(),
        "device": device,
        "case": case.name,
        "way": way,
        "seed": SEED,
        "command": " ".join(["python", *sys.argv]),
        "versions": {name: version(name) for name in PACKAGES},
    }


def measured(device: str, rows: list[Row], seconds: float) -> Iterator[Row]:
    """The rows with what a process measured that sees this device only."""
    command = [sys.executable, __file__, "--worker", device, "--seconds", str(seconds)]
    hidden = {"CUDA_VISIBLE_DEVICES": "-1"} if device == "cpu" else {}
    with subprocess.Popen(
        command,
        env=os.environ | hidden,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        json.dump(rows, process.stdin)
        process.stdin.close()
        yield from map(json.loads, process.stdout)


def work(rows: list[Row], seconds: float) -> None:
    """Print each row with what was measured, until the time is over."""
    for name in dict.fromkeys(row["way"] for row in rows):
        WAYS[name](Case("mlp", 1, 8), SEED)  # loads what the first use loads
    until = time.perf_counter() + seconds
    for row in rows:
        if time.perf_counter() < until:
            family, depth, _, width = row["case"].split()
            case = Case(family, int(depth), int(width))
            print(json.dumps(row | speed(case, WAYS[row["way"]])), flush=True)


def speed(case: Case, way: Callable[[Case, int], Seconds]) -> Row:
    """Milliseconds of an epoch, and seconds of the first and the second training.

    The epochs of a whole training that are not run are counted as the fastest. Of
    several trainings at once it is the share of each.
    """
    trainings = []
    try:
        for seed in (SEED, SEED + 1):
            start = time.perf_counter()
            epochs = way(case, seed)
            rest = case.recipe.epochs - len(epochs)
            trainings.append((time.perf_counter() - start, rest, epochs))
    except Exception as error:  # a device that is full, or a layer XLA has not
        return {"error": str(error).splitlines()[0][:200]}
    members = MEMBERS if way is WAYS["8 at once"] else 1
    fastest = min(min(epochs[1:]) for _, _, epochs in trainings)
    first, second = (seconds + rest * fastest for seconds, rest, _ in trainings)
    return {
        "params": case.network.size.params,
        "epochs": case.recipe.epochs,
        "epoch_ms": round(fastest / members * 1e3, 2),
        "first_s": round(first / members, 3),
        "second_s": round(second / members, 3),
        "load": round(os.getloadavg()[0], 1),
    }


def print_tables(rows: list[Row]) -> None:
    """A table of each measure, with a column for each way."""
    for measure, title, form in MEASURES:
        print(f"\n{title:<26}{'params':>11}", *(f"{way:>11}" for way in WAYS), sep="")
        for name in dict.fromkeys(row["case"] for row in rows):
            found = {row["way"]: row for row in rows if row["case"] == name}
            params = max(row.get("params", 0) for row in found.values())
            values = [found.get(way, {}).get(measure) for way in WAYS]
            shown = ["-" if it is None else format(it, form) for it in values]
            print(f"{name:<26}{params:>11,}", *(f"{it:>11}" for it in shown), sep="")


if __name__ == "__main__":
    main()
