"""The table of searchers: a new searcher is a file and a row here."""

from collections.abc import Callable

from kscale.search.contract import Searcher
from kscale.search.draws import Settings
from kscale.search.evolution import EvolutionSearcher
from kscale.search.halving import HalvingSearcher
from kscale.search.model_search import ModelSearcher
from kscale.search.random_search import RandomSearcher

SEARCHERS: dict[str, Callable[[Settings], Searcher]] = {
    "auto": ModelSearcher.auto,
    "bayesian": ModelSearcher.bayesian,
    "evolution": EvolutionSearcher,
    "halving": HalvingSearcher,
    "random": RandomSearcher,
}
