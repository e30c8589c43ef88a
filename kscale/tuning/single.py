"""Training one spec: a search whose space is a single point."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kscale.run import Run
from kscale.tuning.listeners import Listener
from kscale.tuning.points import single_point
from kscale.tuning.searching import tune


def train(
    family: str,
    knobs: Mapping[str, Any] | None = None,
    data: Any = "digits",
    *,
    class_weights: str = "none",
    objective: str | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    seed: int = 0,
    seeds: int = 1,
    strategy: str = "auto",
    baseline: Any = None,
    retrain_baseline: bool = False,
    run: str | Path | None = None,
    listener: Listener | None = None,
) -> Run:
    """Train one network and score it on the test part.

    It is a search whose budget is the network's own size, so it leaves a run folder
    with all that a search leaves: results, majority and linear rows, report, model.
    The network is the answer of the run, though the linear one may be better.

    Args:
        family: Name of a family.
        knobs: Values of its knobs, `learning_rate` included; the others keep their
            defaults.
        data: Anything `kscale.load_dataset` takes.
        class_weights, objective, epochs, batch_size, seed, seeds, strategy, baseline,
            retrain_baseline, run, listener: As `tune`.

    Raises:
        KscaleError: As `tune`.
    """
    return tune(
        **single_point(family, knobs, data),
        class_weights=class_weights,
        objective=objective,
        epochs=epochs,
        batch_size=batch_size,
        seed=seed,
        seeds=seeds,
        strategy=strategy,
        baseline=baseline,
        retrain_baseline=retrain_baseline,
        run=run,
        listener=listener,
    )
