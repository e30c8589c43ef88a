"""Up to which depth does a deeper network lose nothing, at a fixed width?

Command: `python experiments/depth.py --mnist FILE.npz --cifar10 FILE.zip --epochs 6`
(`--smoke`: the digits, half a minute). MNIST as Keras writes it, of which the first
10,000 training images are used; CIFAR-10 as a zip of JPEG files
`cifar10_images/{train,test}/<class>/*.jpg`. Each family has one width and its default
knobs; each depth is trained from two seeds (0 decides them) with kscale's recipe, of as
many epochs as the table says. Interrupted, it goes on where it was; `--families` and
`--deepest` do a part. Rows: `experiments/results/depth.jsonl`; table:
`experiments/results/depth.md`.

Doubling the depth loses more than seed noise where the mean validation accuracy falls
by more than two standard errors of a difference of two means; the seed deviation is
pooled over the depths of a family on a data set.

Result, on 2 CPU cores with TensorFlow 2.21 and Keras 3.15.1 (about 45 minutes, other
processes running): no doubling loses more than seed noise but those of plain `mlp` from
16 to 32 layers on MNIST (-17.7 points) and from 4 to 8 on CIFAR-10 (-2.3): it has no
residuals, and its search ends at depth 8. Tried on MNIST were `cnn` up to 16
convolutions, `resnet` up to 8 blocks a stage (52 layers), `mobilenet` up to 4 (39),
`rnn` and `vit` up to 8; on CIFAR-10 `cnn` up to 8, `resnet` and `vit` up to 4. Beyond
that, at other widths, and of `transformer`, nothing was shown.
"""

import argparse
import io
import json
import math
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean, variance
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np  # noqa: E402
from PIL import Image  # noqa: E402

import kscale  # noqa: E402

RESULTS = Path(__file__).parent / "results"
RUNS = Path("runs") / "depth"
IMAGES = 10_000
SEEDS = 2
CASES: dict[str, tuple[int, tuple[int, ...]]] = {
    "mlp": (64, (1, 2, 4, 8, 16, 32)),
    "cnn": (8, (2, 4, 8, 16, 32)),
    "resnet": (8, (1, 2, 4, 8)),
    "mobilenet": (8, (1, 2, 4, 8)),
    "vit": (32, (1, 2, 4, 8, 16)),
    "rnn": (32, (1, 2, 4, 8)),
}
"""A width and depths for each family, as the family counts them."""

Row = dict[str, Any]
Arrays = tuple[np.ndarray, np.ndarray]
Data = tuple[Arrays, Arrays]


def main() -> None:
    """Train what is missing, then write the rows and the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="the digits, one epoch")
    parser.add_argument("--mnist", type=Path, help="NPZ file of MNIST")
    parser.add_argument("--cifar10", type=Path, help="zip of CIFAR-10 as JPEG files")
    parser.add_argument("--families", nargs="*", default=list(CASES))
    parser.add_argument("--epochs", type=int, help="epochs instead of the recipe's")
    parser.add_argument("--deepest", type=int, default=10**9, help="leave out deeper")
    asked = parser.parse_args()
    sources: dict[str, Any] = {"digits": "digits"} if asked.smoke else {}
    if asked.mnist:
        sources["mnist"] = mnist(asked.mnist)
    if asked.cifar10:
        sources["cifar10"] = cifar10(asked.cifar10)
    rows = [
        row
        for name, data in sources.items()
        for family in asked.families
        for row in measured(name, data, family, asked)
    ]
    if not asked.smoke:
        rows = merged(rows)
    print(table(rows))


def merged(rows: list[Row]) -> list[Row]:
    """New rows among those of earlier calls, written with the table."""
    path = RESULTS / "depth.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    named = ("data", "family", "epochs", "depth")
    by_name = {
        tuple(row[name] for name in named): row
        for row in [*map(json.loads, lines), *rows]
    }
    ordered = sorted(
        by_name.values(),
        key=lambda row: (row["data"], *key(row)[1:], row["depth"]),
    )
    path.write_text("".join(json.dumps(row) + "\n" for row in ordered))
    RESULTS.joinpath("depth.md").write_text(table(ordered) + "\n")
    return ordered


def mnist(path: Path) -> Data:
    """The first training images, and the test images."""
    with np.load(path) as file:
        train = file["x_train"][:IMAGES], file["y_train"][:IMAGES]
        return train, (file["x_test"], file["y_test"])


def cifar10(path: Path) -> Data:
    """Colour images from a zip of JPEG files, the classes in alphabetical order."""
    with zipfile.ZipFile(path) as archive:
        return pictures(archive, "train"), pictures(archive, "test")


def pictures(archive: zipfile.ZipFile, part: str) -> Arrays:
    """All images of a part, and their class names."""
    names = sorted(n for n in archive.namelist() if f"/{part}/" in n and "." in n)
    images = [np.asarray(Image.open(io.BytesIO(archive.read(n)))) for n in names]
    return np.stack(images), np.array([name.split("/")[-2] for name in names])


def measured(
    name: str, data: Any, family: str, asked: argparse.Namespace
) -> Iterator[Row]:
    """A row for each depth of a family on a data set."""
    width, depths = CASES[family]
    epochs = 1 if asked.smoke else asked.epochs
    for depth in depths[: 2 if asked.smoke else None]:
        if depth > asked.deepest:
            continue
        run = kscale.train(
            family,
            {"depth": depth, "width": width},
            kscale.load_dataset(data, name=name),
            epochs=epochs,
            seeds=SEEDS,
            run=RUNS / f"{name}-{family}-{depth}-{epochs or 'recipe'}",
        )
        tried = [item for item in run.trainings if item.stage == "search"]
        row = {
            "data": name,
            "family": family,
            "width": width,
            "depth": depth,
            "epochs": tried[0].epochs,
            "params": tried[0].params,
            "scores": [result.score for result in tried if result.score is not None],
            "seconds": fmean(result.seconds for result in tried),
            "undertrained": sum(result.undertrained for result in tried),
        }
        print(json.dumps(row), flush=True)
        yield row


def table(rows: list[Row]) -> str:
    """The rows as Markdown, with what each doubling of the depth did."""
    lines = [
        "| data | family | epochs | width | depth | params | accuracy % | deviation |"
        " seconds | doubling |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|---|",
    ]
    before: Row | None = None
    for row in rows:
        same = [r for r in rows if key(r) == key(row)]
        noise = pooled_deviation(same)
        follows = before is not None and key(before) == key(row)
        verdict = judged(before, row, noise) if before and follows else ""
        cells = [
            *(str(row[n]) for n in ("data", "family", "epochs", "width", "depth")),
            f"{row['params']:,}",
            f"{100 * fmean(row['scores']):.2f}",
            f"{100 * noise:.2f}",
            f"{row['seconds']:.0f}",
            verdict,
        ]
        lines.append(f"| {' | '.join(cells)} |")
        before = row
    return "\n".join(lines)


def key(row: Row) -> tuple[str, str, int]:
    """What shares a seed deviation."""
    return row["data"], row["family"], row["epochs"]


def pooled_deviation(rows: list[Row]) -> float:
    """Standard deviation between seeds, over all depths."""
    spreads = [variance(row["scores"]) for row in rows if len(row["scores"]) > 1]
    return math.sqrt(fmean(spreads)) if spreads else 0.0


def judged(before: Row, row: Row, noise: float) -> str:
    """Whether a step in depth gained, lost, or neither, by two standard errors."""
    gain = fmean(row["scores"]) - fmean(before["scores"])
    error = noise * math.sqrt(1 / len(row["scores"]) + 1 / len(before["scores"]))
    if abs(gain) <= 2 * error:
        return f"{100 * gain:+.2f}, noise"
    return f"{100 * gain:+.2f}, {'gains' if gain > 0 else 'LOSES'}"


if __name__ == "__main__":
    main()
