"""What do export and compression keep of networks that searches found on real data?

Command: `python experiments/compression.py --data FOLDER` (`--smoke`: the embedded
digits, one epoch, one method). FOLDER holds the sets of `experiments/real_data.py`;
`--only NAME` does some of `SETS`. A search that is done is not made again, nor is a
method; the runs lie in `runs/compression`.

Each set is searched, seed 0, as a user would. The recommended network is exported to
every format and compressed by each method of `METHODS`: trained ones over two seeds,
with their baselines. Tables go to `experiments/results/compression.md`.
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
    "prune:50%,prune:80%,prune:95%,prune:80%+int8-weights",
    "narrow:25%,narrow:50%,narrow:50%+int8-weights,distill",
)
SEEDS = 2


class Search(NamedTuple):
    """A set, and options of its search."""

    path: str
    options: tuple[str, ...]


SETS = {
    "digits": Search("", ("--family", "cnn", "--max-params", "50k", "--time", "1m")),
    "mnist": Search(
        "mnist.npz", ("--family", "cnn", "--max-params", "50k", "--time", "150s")
    ),
    "spoken_digits": Search(
        "spoken_digits.zip",
        ("--family", "cnn", "--max-params", "50k", "--time", "2m"),
    ),
    "sst2": Search(
        "sst2_train.csv.gz",
        ("--family", "transformer", "--max-params", "200k", "--time", "150s"),
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
        options = ("--max-params", "2k", "--trials", "1", "--epochs", "1")
        print(section("smoke", Search("", options), "", ("int8-weights",)))
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
    kscale("tune", *data, *search.options, "--run", str(run), "-q")
    shown = ("--data", Path(path).name) if path else ()
    lines = [f"`kscale {' '.join(['tune', *shown, *search.options])}`, seed 0.", ""]
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
