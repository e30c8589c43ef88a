"""How fast are small networks trained, by `fit`, by KerasTuner and by kscale?

Command: `python experiments/training_speed.py` (12 minutes on two cores; `--smoke`:
two networks; `--chosen`: the ten rows that tell most; `--family`, `--way`, `--device`,
`--seconds`: less; `--json`: rows). What was measured on a machine is not measured again
without `--fresh`, so the command may be stopped and started; the ways of kscale are
measured again once a commit has changed the engine. All ways train the same network on
the embedded digits (the transformer reads their 64 pixels as tokens), in batches of 32,
by AdamW, from seed 0 and then from seed 1; CPU and GPU each have a process of their
own. Ways:

- `fit`: Keras' own loop.
- `KerasTuner` (tuner below): runs one trial, which scores and writes a checkpoint after
  each epoch.
- `graph`: an epoch in one graph, made by AutoGraph, with Keras' AdamW; kscale's loop as
  it was before programs were kept.
- `kscale`: the engine, as a search trains; `XLA`: the same, always compiled by XLA.
- `8 at once`: eight networks in one program, the share of each.

An epoch is the fastest of several; a training is 40 epochs with all that is beside them
(building, tracing, compiling, a prediction), where epochs that were not run are counted
as the fastest. The second training of a network is from another seed. What is made for
GPUs is measured on CPUs for few networks only. Rows, each with machine, versions,
commit, load and command: `experiments/results/training_speed.jsonl`.

Result, on 2 CPU cores (AMD EPYC) with TensorFlow 2.21 and Keras 3.15.1, in one start of
ten minutes, with nothing else of weight running:

    milliseconds an epoch     params    fit     tuner  graph kscale    XLA 8 at once
    mlp 2 x 64                 9,354     99       190   11.7    3.3    3.4       2.2
    mlp 3 x 256              153,098    142       218     39     23     22      15.6
    mlp 4 x 1024           3,237,898    793       864    597    306    315       535
    cnn 2 x 16                 5,274    313       304     85     70    143        53
    cnn 4 x 16                16,986    236       381    102     90      -         -
    cnn 4 x 32                66,218    267       326    144    147      -         -
    resnet 1 x 8               5,202    352       402    133    126    245       155
    resnet 1 x 16             19,866    356       354    170    158      -         -
    resnet 2 x 16             43,290    395       452    230    277      -         -
    rnn 1 x 16                 1,770    161       186     36     33     44         -
    rnn 2 x 32                14,026    234       336    100     82      -         -
    rnn 2 x 128              203,530    467       487    226    231      -         -
    transformer 1 x 16         4,778    395       472    380    350   3714         -
    transformer 2 x 32        28,394   1111      1166    744    585      -         -
    transformer 2 x 64       105,930   1496      1797   1255   1212      -         -

    seconds, first training   params    fit     tuner  graph kscale    XLA 8 at once
    mlp 2 x 64                 9,354    5.2      10.4    1.1    1.3    1.4       0.4
    mlp 3 x 256              153,098    7.4      12.5    2.7    2.3    2.3       0.9
    mlp 4 x 1024           3,237,898   35.0      40.3   24.8   14.5   13.9      22.0
    cnn 2 x 16                 5,274   14.7      15.6    4.3    3.4    7.6       2.4
    cnn 4 x 16                16,986   12.1      19.6    5.2    4.3      -         -
    cnn 4 x 32                66,218   12.6      17.8    6.5    6.4      -         -
    resnet 1 x 8               5,202   17.1      20.1    7.0    5.8   11.9       6.8
    resnet 1 x 16             19,866   17.1      20.6    8.2    7.4      -         -
    resnet 2 x 16             43,290   19.4      24.5   11.3   12.2      -         -
    rnn 1 x 16                 1,770    7.8      10.3    2.2    2.0    3.7         -
    rnn 2 x 32                14,026   12.6      19.8    5.4    4.8      -         -
    rnn 2 x 128              203,530   23.1      27.2   10.5   10.3      -         -
    transformer 1 x 16         4,778   18.8      23.6   17.0   15.7  152.9         -
    transformer 2 x 32        28,394   51.4      59.7   32.9   26.6      -         -
    transformer 2 x 64       105,930   65.9      81.5   53.0   50.6      -         -

    seconds, second training  params    fit     tuner  graph kscale    XLA 8 at once
    mlp 2 x 64                 9,354    5.5      10.1    1.2    0.2    0.2       0.2
    mlp 3 x 256              153,098    7.4      12.7    2.7    1.0    1.0       0.7
    mlp 4 x 1024           3,237,898   34.5      38.9   24.6   12.4   12.7      21.6
    cnn 2 x 16                 5,274   14.7      15.0    4.2    2.9    5.8       2.2
    cnn 4 x 16                16,986   12.0      19.4    5.6    3.9      -         -
    cnn 4 x 32                66,218   12.8      17.4    6.6    6.0      -         -
    resnet 1 x 8               5,202   18.3      20.2    6.6    5.2    9.9       6.3
    resnet 1 x 16             19,866   17.2      19.6    8.5    6.4      -         -
    resnet 2 x 16             43,290   19.5      25.0   11.0   11.3      -         -
    rnn 1 x 16                 1,770    7.8      11.3    2.2    1.5    1.8         -
    rnn 2 x 32                14,026   12.7      20.0    5.9    3.5      -         -
    rnn 2 x 128              203,530   22.4      25.9   10.3    9.3      -         -
    transformer 1 x 16         4,778   19.0      24.7   17.2   14.2  149.0         -
    transformer 2 x 32        28,394   51.3      57.3   32.7   24.0      -         -
    transformer 2 x 64       105,930   67.2      82.0   52.8   48.9      -         -

An epoch of `kscale` takes 3 to 90 % of the time of `fit`: the less the smaller the
layers are. The second training of a network takes 0.1 to 0.3 s beside its 40 epochs,
0.6 s of a transformer, where the fastest epoch stands for all. Of these networks,
kscale lets XLA compile the three mlps. XLA loses with convolutions, recurrent layers
and attention on a CPU. Several networks at once gain for small mlps and the small cnn,
and lose for the resnet and the large mlp. One GPU was measured for two rows only; the
docstring of `experiments/gpu_check.py` has more.
"""

import argparse
import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from speed.cases import SIZES, Case, machine  # noqa: E402
from speed.ways import MEMBERS, WAYS, Seconds  # noqa: E402

FOLDER = Path(__file__).parent
OUTPUT = FOLDER / "results" / "training_speed.jsonl"
DEVICES = ("cpu", "gpu")
FOR_GPUS = ("XLA", "8 at once")
OF_KSCALE = ("kscale", *FOR_GPUS)
CHOSEN = (
    *(("mlp 2 x 64", "kscale"), ("cnn 2 x 16", "kscale"), ("mlp 2 x 64", "8 at once")),
    *(("mlp 2 x 64", "fit"), ("cnn 2 x 16", "8 at once"), ("cnn 4 x 32", "kscale")),
    *(("resnet 1 x 8", "kscale"), ("transformer 1 x 16", "kscale")),
    *(("rnn 1 x 16", "kscale"), ("mlp 4 x 1024", "kscale")),
)
"""Networks and ways that tell most, in the order in which they are measured."""
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
    parser.add_argument(
        "--chosen", action="store_true", help="the ten rows of most use"
    )
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
        if asked.chosen:
            found = {(row["case"], row["way"]): row for row in wanted}
            wanted = [found[chosen] for chosen in CHOSEN if chosen in found]
        is_new = asked.fresh or asked.smoke
        missing = [row for row in wanted if is_new or is_missing(row, known)]
        for row in measured(device, missing, asked.seconds):
            known[key(row)] = row
            if not asked.smoke:
                write_rows(known.values())
        rows = [known[key(row)] for row in wanted if key(row) in known]
        print(*map(json.dumps, rows), sep="\n") if asked.json else print_tables(rows)


def key(row: Row) -> tuple[Any, ...]:
    """What tells a row from others: machine, device, network and way."""
    return (*row["machine"].values(), row["device"], row["case"], row["way"])


def is_missing(row: Row, known: Mapping[tuple[Any, ...], Row]) -> bool:
    """Whether a row was not measured, or only with other code of kscale."""
    before = known.get(key(row))
    is_old = before is not None and before.get("commit") != row["commit"]
    return before is None or (row["way"] in OF_KSCALE and is_old)


@cache
def commit() -> str:
    """The last commit that changed how kscale trains; empty without a repository."""
    command = ["git", "log", "-1", "--format=%h", "--", "kscale/engine"]
    run = subprocess.run(command, cwd=FOLDER.parent, capture_output=True, text=True)
    return run.stdout.strip()


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
        "commit": commit(),
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
