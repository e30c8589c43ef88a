"""What do export and compression keep of networks that searches found on real data?

Command: `python experiments/compression.py --data FOLDER` (`--smoke`: the embedded
digits, one epoch, one method). FOLDER holds the sets of `experiments/real_data.py`;
`--only NAME` does some of `SETS`. A search that is done is not made again, nor is a
method; the runs lie in `runs/compression`.

Digits and MNIST are searched, seed 0, as a user would; on spoken digits and SST-2,
where the answer of a search is linear, one network is trained instead. The recommended
network is exported to every format and compressed by each method of `METHODS`: trained
ones over two seeds, with their baselines. Tables go to
`experiments/results/compression.md`.

Results, on 2 CPU cores (AMD EPYC) that other programs used too, in several calls: every
export gives the answers of its model (differences of at most 6e-6). Weights of 8 bits
cost no score on any set, 4 bits up to 2 points; a text transformer, most of which is
its embedding, goes from 996 to 263 kB. 80 % of the weights can be 0 on all sets.
Channels removed by weight, at random and small networks from scratch are within two
errors of each other, but on MNIST, where half of the channels cost 0.18 ± 0.11 points
by weight, and 0.38 ± 0.10 at random. Digits have the present int8; the tables of the
other sets say what of them is older.
"""

import argparse
import json
from pathlib import Path
from typing import NamedTuple

from real_data import kscale, unpacked

from kscale.ship.formats import FORMATS

RESULTS = Path(__file__).parent / "results" / "compression.md"
RUNS = Path("runs") / "compression"
METHODS = (
    "int8,int8-dynamic,int8-weights,int4,float16",
    "prune:80%,prune:95%,prune:80%+int8-weights",
    "narrow:25%,narrow:50%,distill",
)
SEEDS = 2


class Search(NamedTuple):
    """A set, and the command that finds a network of it."""

    path: str
    command: tuple[str, ...]


CNN = ("tune", "--family", "cnn", "--max-params", "50k")
SETS = {
    "digits": Search("", (*CNN, "--time", "60s")),
    "mnist": Search("mnist.npz", (*CNN, "--time", "150s")),
    "spoken_digits": Search(
        "spoken_digits.zip", ("train", "cnn", "--depth", "4", "--width", "16")
    ),
    "sst2": Search(
        "sst2_train.csv.gz",
        ("train", "transformer", "--depth", "1", "--width", "32"),
    ),
}


def main() -> None:
    """Search, export and compress each set, and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="digits, one epoch")
    parser.add_argument("--data", type=Path, help="folder of the sets")
    parser.add_argument("--only", nargs="*", default=list(SETS), choices=list(SETS))
    asked = parser.parse_args()
    if asked.smoke:
        command = ("tune", "--max-params", "2k", "--trials", "1", "--epochs", "1")
        print(section("smoke", Search("", command), "", ("int8-weights",)))
        return
    if asked.data is None:
        parser.error("--data is needed, or --smoke.")
    for name in asked.only:
        search = SETS[name]
        path = str(unpacked(asked.data / search.path)) if search.path else ""
        print(section(name, search, path, METHODS))


def section(name: str, search: Search, path: str, methods: tuple[str, ...]) -> str:
    """The tables of a set, which replace those of an earlier call."""
    run, data = RUNS / name, ("--data", path) if path else ()
    if not (run / "models" / "recommended.keras").exists():
        kscale(*search.command, *data, "--run", str(run), "-q")
    shown = ("--data", Path(path).name) if path else ()
    lines = [f"`kscale {' '.join([*search.command, *shown])}`, seed 0.", ""]
    lines += [
        "| format | bytes | gzip | score | same answers | difference | ms | p90 |"
    ]
    lines += ["|---|---:|---:|---:|---:|---:|---:|---:|"]
    for form in FORMATS:
        told = kscale("export", str(run), "--format", form, "--json", "-q")
        lines.append(row_of(json.loads(told)))
    wanted = [word for each in methods for word in ("--method", each)]
    table = kscale("compress", str(run), *wanted, "--seeds", str(SEEDS), "-q")
    lines += ["", "```", table.rstrip(), "```"]
    text = "\n".join([f"## {name}", "", *lines, ""])
    if methods is METHODS:
        keep(name, text)
    return text


def row_of(found: dict[str, object]) -> str:
    """A line of the table of formats."""
    same, apart = found["agreement"], found["difference"]
    cells = [
        str(found["format"]),
        f"{found['bytes']:,}",
        f"{found['gzip_bytes']:,}",
        f"{found['score']:.4f} ± {found['stderr']:.4f}",
        "" if same is None else f"{100 * float(str(same)):.2f} %",
        f"{apart:.1e}",
        f"{found['latency_ms']:.3f}",
        f"{found['latency_high']:.3f}",
    ]
    return f"| {' | '.join(cells)} |"


def keep(name: str, text: str) -> None:
    """Write the section of a set among those of other calls."""
    old = RESULTS.read_text() if RESULTS.exists() else ""
    parts = {part.split("\n", 1)[0]: part for part in old.split("## ") if part.strip()}
    parts[name] = text.removeprefix("## ")
    ordered = [f"## {parts[each].rstrip()}\n" for each in SETS if each in parts]
    RESULTS.write_text("\n".join(ordered))


if __name__ == "__main__":
    main()
