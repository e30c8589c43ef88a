"""Does a search take as long as `kscale plan` says?

Command: `python experiments/plan_accuracy.py --data FOLDER` (`--smoke`: two searches of
the digits, a minute). FOLDER holds the sets of `experiments/real_data.py`; smaller ones
are made of them. Each search of `SEARCHES` is planned and then run, both as commands in
a process of their own, from start to exit; `--only NAME` does some of them. The rows go
to `experiments/results/plan_accuracy.jsonl`, the table to `plan_accuracy.md` beside it,
with what else kept the processor busy: a plan can only know the load of its own moment.
"""

import argparse
import csv
import gzip
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

RESULTS = Path(__file__).parent / "results"
Row = dict[str, Any]

SEARCHES: dict[str, tuple[str, ...]] = {
    "mlp, digits": ("digits", "--family", "mlp"),
    "mlp, digits, halving": ("digits", "--family", "mlp", "--searcher", "halving"),
    "cnn, 2,000 digits of MNIST": ("mnist.npz", "--family", "cnn", "--epochs", "5"),
    "resnet, digits": ("digits", "--family", "resnet", "--epochs", "5"),
    "mobilenet, digits": ("digits", "--family", "mobilenet", "--epochs", "3"),
    "vit, digits": ("digits", "--family", "vit", "--epochs", "10"),
    "mlp, Adult": ("adult.csv", "--label", "income", "--family", "mlp"),
    "rnn, 600 spoken digits": ("sounds", "--family", "rnn", "--epochs", "3"),
    "transformer, 2,000 of SST-2": ("texts.csv", "--family", "transformer"),
    "auto, 2,000 of SST-2": ("texts.csv", "--epochs", "3"),
}
COMMON = ("--max-params", "50k", "--trials", "10")
FEWER = {"transformer, 2,000 of SST-2": ("--epochs", "3")}
SMOKE = tuple(SEARCHES)[:2]


def make_data(source: Path, target: Path) -> None:
    """Small sets in a folder, of the large ones."""
    images = np.load(source / "mnist.npz")
    numbers = {"train": 2000, "test": 500}
    cut = {
        f"{kind}_{part}": images[f"{kind}_{part}"][:number]
        for part, number in numbers.items()
        for kind in "xy"
    }
    np.savez(target / "mnist.npz", **cut)
    _rows(source / "adult_train.csv.gz", target / "adult.csv", 8000)
    _rows(source / "sst2_train.csv.gz", target / "texts.csv", 2000)
    with zipfile.ZipFile(source / "spoken_digits.zip") as archive:
        for name in sorted(archive.namelist())[::4]:
            _, part, *rest = Path(name).parts if name.endswith(".wav") else ("", "")
            if part == "train":
                path = target / "sounds" / "/".join(rest)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(archive.read(name))


def _rows(source: Path, target: Path, number: int) -> None:
    with gzip.open(source, "rt", newline="") as read, target.open("w") as written:
        csv.writer(written).writerows(islice(csv.reader(read), number + 1))


def run(command: str, words: Sequence[str], folder: Path) -> tuple[float, Row]:
    """Seconds from start to exit of a command, and its JSON."""
    begun = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "kscale", command, *words, "--json", "-q"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"kscale {command} {' '.join(words)}: {done.stderr}")
    return time.perf_counter() - begun, json.loads(done.stdout)


def measured(name: str, folder: Path) -> Row:
    """A search, planned and run."""
    data, *words = SEARCHES[name]
    words = ["--data", data, *words, *FEWER.get(name, ()), *COMMON]
    busy = os.getloadavg()[0]
    planning, plan = run("plan", words, folder)
    with tempfile.TemporaryDirectory() as place:
        took, _ = run("tune", [*words, "--run", f"{place}/run"], folder)
        lines = (Path(place) / "run" / "results.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    trained = [each for each in records if each["type"] == "training"]
    return {
        "search": name,
        "command": " ".join(words),
        "planning": round(planning, 1),
        "planned": round(plan["seconds"], 1),
        "took": round(took, 1),
        "ratio": round(took / plan["seconds"], 3),
        "planned_trainings": plan["trainings"],
        "trainings": len(trained),
        "planned_in_trainings": round(plan["seconds"] - plan["around"], 1),
        "in_trainings": round(sum(each["seconds"] for each in trained), 1),
        "load": [round(busy, 1), round(os.getloadavg()[0], 1)],
    }


def table(rows: Sequence[Row]) -> str:
    """The rows for people."""
    within = sum(abs(row["ratio"] - 1) <= 0.2 for row in rows)
    cores = os.cpu_count()
    head = f"""# How near `kscale plan` comes

`python experiments/plan_accuracy.py --data FOLDER`, {platform.machine()}, {cores}
cores. Wall clock of a search from start to exit, over what was planned: {within} of
{len(rows)} within 20 %. Load is the mean number of processes that wanted a core in the
minute before the plan, and in the last one: more than {cores} wait for each other.

| search | planned | took | took / planned | trainings | load |
|---|---|---|---|---|---|
"""
    return head + "".join(
        f"| {row['search']} | {row['planned']:.0f} s | {row['took']:.0f} s "
        f"| {row['ratio']:.2f} | {row['trainings']} of {row['planned_trainings']} "
        f"| {row['load'][0]} to {row['load'][1]} |\n"
        for row in rows
    )


def main() -> None:
    """Plan and run, and write what came of each search at once."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--only", action="append", choices=list(SEARCHES))
    parser.add_argument("--smoke", action="store_true")
    given = parser.parse_args()
    names = given.only or (SMOKE if given.smoke else SEARCHES)
    results = Path(tempfile.mkdtemp()) if given.smoke else RESULTS
    rows = []
    with tempfile.TemporaryDirectory() as made:
        if given.data is not None:
            make_data(given.data, Path(made))
        for name in names:
            rows.append(measured(name, Path(made)))
            print(json.dumps(rows[-1]), flush=True)
    lines = (f"{json.dumps(row)}\n" for row in rows)
    (results / "plan_accuracy.jsonl").write_text("".join(lines))
    (results / "plan_accuracy.md").write_text(table(rows))


if __name__ == "__main__":
    main()
