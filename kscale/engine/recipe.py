"""How every network of a search is trained: epochs, batches, learning-rate schedule."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kscale.errors import SpecError
from kscale.text import counted

_STEPS = 1600
_POOLED_STEPS = 100
_FEWEST_EPOCHS, _MOST_EPOCHS = 5, 40


@dataclass(frozen=True)
class Recipe:
    """What all trainings of a search share.

    The learning rate rises linearly over the first `warmup` of all steps, stays, and
    falls linearly to 0 over the last `cooldown` of them (Hägele et al. 2024,
    arXiv 2405.18392): the steady part shows whether a network is still improving.

    Args:
        epochs: Epochs of a full training.
        batch_size: Examples a step, over all replicas.
        warmup, cooldown: Shares of all steps.
    """

    epochs: int
    batch_size: int
    warmup: float = 0.05
    cooldown: float = 0.25

    @classmethod
    def for_examples(
        cls,
        examples: int,
        epochs: int | None = None,
        batch_size: int | None = None,
        replicas: int = 1,
    ) -> "Recipe":
        """A recipe that suits a number of training examples.

        Batches of 32 up to 4,000 examples, 64 up to 20,000, then 128; epochs for about
        1,600 steps, at least 5 and at most 40. Each replica gets as many examples of a
        batch as another.

        Raises:
            SpecError: There are more replicas than examples.
        """
        if replicas > examples:
            raise SpecError(
                f"{replicas} devices cannot share {counted(examples, 'example')}; "
                "choose fewer devices, or another strategy."
            )
        batch = batch_size
        if batch is None:
            batch = 32 if examples <= 4000 else 64 if examples <= 20000 else 128
        batch = min(batch, examples)
        batch = max(replicas, batch - batch % replicas)
        wanted = math.ceil(_STEPS * batch / examples)
        usual = min(max(wanted, _FEWEST_EPOCHS), _MOST_EPOCHS)
        return cls(usual if epochs is None else epochs, batch)

    def steps_per_epoch(self, examples: int) -> int:
        """Whole batches in an epoch; what remains waits for the next epoch's order."""
        return examples // self.batch_size

    def order(
        self, examples: int, seed: int, epoch: int, lengths: NDArray[Any] | None = None
    ) -> NDArray[np.int32]:
        """Examples of each step of an epoch, `(steps, batch_size)`.

        Examples of a step are of one length, about, where `lengths` are given.

        The order depends on nothing but seed and epoch, so that an interrupted training
        goes on like any other.
        """
        shuffled = np.random.default_rng([seed, 4, epoch]).permutation(examples)
        steps = self.steps_per_epoch(examples)
        used = shuffled[: steps * self.batch_size]
        return self.grouped(used, lengths).reshape(steps, -1).astype(np.int32)

    def grouped(
        self, order: NDArray[Any], lengths: NDArray[Any] | None
    ) -> NDArray[Any]:
        """An order in which examples of a step have about one length.

        Of every hundred steps the examples are sorted by length, and the steps take
        their turns in the order of the first example that each would have had.

        Args:
            order: Examples in the order of an epoch, whole steps.
            lengths: Of all examples; the order stays without them.
        """
        if lengths is None:
            return order
        pool, found = _POOLED_STEPS * self.batch_size, []
        for start in range(0, len(order), pool):
            some = order[start : start + pool]
            places = np.argsort(lengths[some], kind="stable")
            steps = some[places].reshape(-1, self.batch_size)
            firsts = places.reshape(-1, self.batch_size).min(axis=1)
            found.append(steps[np.argsort(firsts)].reshape(-1))
        return np.concatenate(found)

    def order_of_some(
        self,
        some: NDArray[np.int32],
        examples: int,
        seed: int,
        epoch: int,
        lengths: NDArray[Any] | None = None,
    ) -> NDArray[np.int32]:
        """Like `order`, with as many steps, of some of the examples again and again."""
        steps = self.steps_per_epoch(examples)
        places = np.arange(steps * self.batch_size)
        shuffled = [
            np.random.default_rng([seed, 4, epoch, turn]).permutation(some)
            for turn in range(math.ceil(len(places) / len(some)))
        ]
        used = np.concatenate(shuffled)[places]
        return self.grouped(used, lengths).reshape(steps, -1)

    def steady_epochs(self) -> int:
        """Epochs before the learning rate starts to fall."""
        return max(1, math.floor(self.epochs * (1 - self.cooldown)))


def is_undertrained(gains: list[float], steady: int, stderr: float) -> bool:
    """Whether a training would have improved further.

    Compared are the mean scores over the third and the last quarter of the epochs with
    full learning rate. A gain of more than one standard error says that the score was
    still improving. A single epoch shows nothing, and counts as too few.

    Args:
        gains: Score after each epoch, its sign changed if lower is better.
        steady: Epochs before the learning rate starts to fall.
        stderr: Standard error of one score.
    """
    curve = gains[: max(steady, 2)]
    if len(curve) < 2:
        return True
    half = curve[len(curve) // 2 :] if len(curve) > 3 else curve[-2:]
    middle = len(half) // 2
    before, after = np.mean(half[:middle]), np.mean(half[middle:])
    return bool(after - before > stderr)
