"""The specs of families as the candidates of a search."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from kscale.engine.base import Engine, Latency
from kscale.networks.backbones import Backbone
from kscale.networks.blueprint import flat_layers
from kscale.networks.budget import Budget
from kscale.networks.families import find_family
from kscale.networks.families.base import TRAINING_KNOBS, Spec
from kscale.networks.families.images import AUGMENT
from kscale.networks.sizing import Size
from kscale.networks.views import viewed
from kscale.search.pool import Pool, way_to_fewer_flops
from kscale.search.random_search import PoolDraws
from kscale.task.tasks import Task
from kscale.tuning.candidates import Candidates
from kscale.tuning.request import SearchRequest
from kscale.tuning.trainer import Trainer, TrainingSetup

# Imports inside functions: a plan must not wait for Keras, which takes seconds.

_LATENCY_FREE = {"width", *(knob.name for knob in (*TRAINING_KNOBS, AUGMENT))}


@dataclass(frozen=True, eq=False)
class FamilyCandidates(Candidates):
    """The specs of a pool; what each method does stands in `Candidates`.

    Args:
        pool: Specs inside the budget.
        seed: Decides the draws.
    """

    pool: Pool
    seed: int = 0
    sets_rates = True

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(family.name for family in self.pool.space.families)

    @property
    def found(self) -> str:
        return self.pool.found

    @property
    def most_work(self) -> float:
        return float(self.pool.work.max())

    @property
    def largest(self) -> Spec:
        return self.pool.spec(int(self.pool.work.argmax()))

    def prepare(self, folder: Path, note: Callable[[str], None], trials: int) -> None:
        """Raise unless the weights that backbones start from are there."""
        from kscale.building.backbone_weights import check_weights

        families, task = self.pool.space.families, self.pool.space.task
        having = {f.name: f for f in families if "backbone" in f.all_knobs}
        specs = (s for s in self.pool.specs() if s.family in having) if having else ()
        blueprints = (having[spec.family].blueprint(spec, task) for spec in specs)
        layers = (layer for each in blueprints for layer in flat_layers(each))
        check_weights(layer for layer in layers if isinstance(layer, Backbone))

    def draws(self) -> PoolDraws:
        return self._draws

    @cached_property
    def _draws(self) -> PoolDraws:
        """One sequence for all that ask: a rehearsal, and then the search."""
        return PoolDraws(self.pool, self.seed)

    def most_trials(self, asked: int) -> int:
        return min(asked, len(self.pool))

    def size(self, spec: Spec) -> Size:
        return find_family(spec.family).size(spec, self.pool.space.task)

    def timer(self, engine: Engine, spec: Spec, batch: int) -> Callable[[], Latency]:
        return family_timer(engine, spec, self.pool.space.task, batch)

    def by_width(self, spec: Spec) -> tuple[Spec, int]:
        knobs = tuple(item for item in spec.knobs if item[0] not in _LATENCY_FREE)
        return Spec(spec.family, knobs), spec.width or 0

    def faster(self, spec: Spec, share: float) -> str:
        return way_to_fewer_flops(self.pool.space, spec, share)

    def trainer(self, setup: TrainingSetup) -> Trainer:
        return _trainer(setup)

    def trainer_of(
        self, request: SearchRequest, budget: Budget
    ) -> Callable[[TrainingSetup], Trainer]:
        return _trainer


def _trainer(setup: TrainingSetup) -> Trainer:
    from kscale.tuning.family_trainer import FamilyTrainer

    return FamilyTrainer(setup)


def family_timer(
    engine: Engine, spec: Spec, task: Task, batch: int
) -> Callable[[], Latency]:
    """As `Candidates.timer`, for a spec of any family."""
    from kscale.building.models import build_model

    model = build_model(find_family(spec.family).blueprint(spec, task))
    seen = viewed(task, dict(spec.knobs))
    return lambda: engine.latency(model, seen, batch)
