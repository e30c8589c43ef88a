"""What a table of kscale's own trainings shows: its best size, its noise, its shape."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

_OCTAVES = 2  # of parameters, in a group of sizes
_CLEAR = 2.0  # standard errors
_LARGE = 4  # share of the largest size from which networks are large
_BEST = 0.1  # share of networks and rates


def ranks(values: Any) -> Values:
    """Ranks from 0; equal values share the mean of their ranks."""
    flat = np.asarray(values, float)
    _, group, counts = np.unique(flat, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts + 1) / 2)[group]


def rank_correlation(first: Any, second: Any) -> float:
    """Spearman's rank correlation; 0 where all values of one are equal."""
    a, b = ranks(first), ranks(second)
    if not (np.ptp(a) and np.ptp(b)):
        return 0.0
    return float(np.corrcoef(a, b)[0, 1])


def figures(table: dict[str, Any]) -> Iterator[str]:
    """A table's lines of Markdown.

    Args:
        table: The arrays of the file.
    """
    curves = 100.0 * table["val_right"] / table["examples"][1]
    last = curves[..., -1]
    truth = last.mean(axis=-1)
    epochs = curves.shape[-1]
    every, best = (_deviation(last, truth, share) for share in (1.0, _BEST))
    train, validation, test = map(int, table["examples"])
    yield f"## {table['name']}\n"
    yield (
        f"- {table['family']}, depth {_listed(table['depth'])} x width "
        f"{_listed(table['width'])} x learning rate {_listed(table['learning_rate'])} "
        f"x seed {_listed(table['seed'])}: {last.size:,} trainings of {epochs} epochs, "
        f"batches of {table['batch_size']}; {train:,} examples to train on, "
        f"{validation:,} of validation, {test:,} of test; {table['params'].min():,} to "
        f"{table['params'].max():,} parameters."
    )
    yield f"- Best: {_best(table, truth)}"
    examples = math.sqrt(truth.max() * (100 - truth.max()) / validation)
    yield (
        f"- Deviation between seeds: {every:.2f} points over all, {best:.2f} among the "
        f"best tenth; standard error of the best over the examples {examples:.2f}."
    )
    early = sorted({1, *(max(1, epochs // part) for part in (9, 3, 2))})
    correlations = [_early(curves, truth, epoch) for epoch in early]
    shown = [f"epoch {e}: {c:.2f}" for e, c in zip(early, correlations, strict=True)]
    yield (
        "- Rank correlation of a seed's epoch with the mean at the end: "
        f"{', '.join(shown)}."
    )
    yield from _by_size(table["params"], truth)
    tested = 100 * table["test_right"].mean(axis=-1) / test
    yield _verdict(table["params"], truth, tested, best / math.sqrt(last.shape[-1]))


def _best(table: dict[str, Any], truth: Values) -> str:
    """Size, rate and scores of the best network."""
    depth, width, rate = np.unravel_index(truth.argmax(), truth.shape)
    test = 100 * table["test_right"][depth, width, rate].mean() / table["examples"][2]
    return (
        f"{table['depth'][depth]} x {table['width'][width]} "
        f"({table['params'][depth, width]:,} parameters), learning rate "
        f"{table['learning_rate'][rate]:g}: {truth.max():.2f} % on validation, "
        f"{test:.2f} % on test; median of all {np.median(truth):.2f} %."
    )


def _deviation(last: Values, truth: Values, share: float) -> float:
    """Between seeds, over a share of the networks and rates, the best ones."""
    chosen = truth >= np.quantile(truth, 1 - share)
    return math.sqrt(last[chosen].var(axis=-1, ddof=1).mean())


def _early(curves: Values, truth: Values, epoch: int) -> float:
    """Mean over the seeds."""
    return float(
        np.mean(
            [
                rank_correlation(curves[..., seed, epoch - 1].ravel(), truth.ravel())
                for seed in range(curves.shape[3])
            ]
        )
    )


def _by_size(params: Any, truth: Values) -> Iterator[str]:
    """A table of groups of sizes: the best network, and the mean over networks at the
    best rate of each and at the middle rate."""
    group = (np.log2(params) // _OCTAVES).astype(int)
    best, middle = truth.max(axis=2), truth[:, :, truth.shape[2] // 2]
    yield "\n| parameters | networks | best | mean, best rate | mean, middle rate |"
    yield "|---|---|---|---|---|"
    for number in np.unique(group):
        of_group = group == number
        values = (best[of_group].max(), best[of_group].mean(), middle[of_group].mean())
        cells = " | ".join(f"{value:.2f}" for value in values)
        sizes = params[of_group]
        yield f"| {sizes.min():,} to {sizes.max():,} | {of_group.sum()} | {cells} |"


def _verdict(params: Any, truth: Values, tested: Values, error: float) -> str:
    """What large networks gain over networks of at most a quarter of the largest."""
    best, middle = truth.max(axis=2), truth[:, :, truth.shape[2] // 2]
    are_large = params > params.max() / _LARGE
    large, small = (
        np.where(chosen[:, :, None], truth, -np.inf).argmax()
        for chosen in (are_large, ~are_large)
    )
    gains = [scores.flat[large] - scores.flat[small] for scores in (truth, tested)]
    clear = _CLEAR * math.sqrt(2) * error
    is_worse, is_better = max(gains) < -clear, min(gains) > clear
    word = "Overfits" if is_worse else "Gains" if is_better else "Saturates"
    near = params[best >= best.max() - error].min()
    return (
        f"\n**{word}**: the best of the networks of more than a quarter of the largest "
        f"size is {gains[0]:+.2f} points from the best of the smaller ones (standard "
        f"error of a mean over the seeds {error:.2f}, from the best tenth), on the "
        f"test part {gains[1]:+.2f} points. The smallest "
        f"network within one standard error of the best has {near:,} parameters, "
        f"{near / params.max():.1%} of the largest. Rank correlation of size with the "
        f"score at the best rate {rank_correlation(params.ravel(), best.ravel()):.2f}, "
        f"at the middle rate {rank_correlation(params.ravel(), middle.ravel()):.2f}."
    )


def _listed(values: Any) -> str:
    return ", ".join(f"{value:g}" if value % 1 else str(int(value)) for value in values)
