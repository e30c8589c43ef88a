"""Within the same bytes, is a wider network in fewer bits better than float32?

Command: `python experiments/stored_bits.py` (`--smoke`: one search of one epoch;
`--data FILE`: other data than the embedded digits, such as MNIST as NPZ). For each
limit of `LIMITS` and each seed, `kscale tune --max-bytes LIMIT` is run twice, with
`--bits 32` and with `--bits auto`, of the same effort. What is compared is the score of
the best answer on the test part, which no search saw, and what bits it has.

Result of `--limits 12k --seeds 0`, one seed, so no more than an example: 95.9 % of 270
test images with float32, 98.9 % with a network that is wider and stored in 4 bits.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from statistics import fmean, stdev
from typing import Any

LIMITS = ("4k", "12k", "40k")
SEEDS = (0, 1, 2)
EFFORT = ("--trials", "10", "--epochs", "12", "--finalist-seeds", "2")
SMOKE = ("--trials", "2", "--epochs", "1", "--finalist-seeds", "1")


def searched(data: str, limit: str, bits: str, seed: int, how: tuple[str, ...]) -> Any:
    """The report of a search, as JSON."""
    with tempfile.TemporaryDirectory() as folder:
        words = ["tune", "--data", data, "--family", "cnn", "--max-bytes", limit]
        words += ["--bits", bits, "--seed", str(seed), *how]
        words += ["--run", f"{folder}/run", "--json", "-q"]
        command = [sys.executable, "-m", "kscale", *words]
        return json.loads(subprocess.run(command, capture_output=True).stdout)


def main() -> None:
    """Print a row for each limit."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--data", default="digits")
    parser.add_argument("--limits", nargs="*", default=LIMITS)
    parser.add_argument("--seeds", nargs="*", type=int, default=SEEDS)
    asked = parser.parse_args()
    limits, seeds, how = asked.limits, asked.seeds, EFFORT
    if asked.smoke:
        limits, seeds, how = LIMITS[:1], SEEDS[:1], SMOKE
    print("| max bytes | float32, test % | auto, test % | gain | bits of the best |")
    print("|---:|---:|---:|---:|---|")
    for limit in limits:
        gains, found = [], {"32": [], "auto": []}
        for seed in seeds:
            for bits, scores in found.items():
                best = searched(asked.data, limit, bits, seed, how)["best"]
                scores.append((100 * best["test_score"], best["bits"]))
            gains.append(found["auto"][-1][0] - found["32"][-1][0])
        means = [f"{fmean(score for score, _ in each):.1f}" for each in found.values()]
        spread = f" ± {stdev(gains) / len(gains) ** 0.5:.1f}" if len(gains) > 1 else ""
        bits_of = " ".join(str(bits) for _, bits in found["auto"])
        row = [limit, *means, f"{fmean(gains):+.1f}{spread}", bits_of]
        print(f"| {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    main()
