"""A recorded run: the records in a folder, and the answers that follow from them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kscale.errors import ResultsError
from kscale.networks.budget import Budget
from kscale.runs.entries import Entry, answers_of, best_of, front_of, recommended_of
from kscale.runs.folder import read_records, read_run
from kscale.runs.records import Evaluation, Record, Reference, Training
from kscale.task.objectives import Objective, asked_objective
from kscale.task.tasks import Task


class RecordedRun:
    """The records of one search, read from its folder, or given where they have been.

    Everything is rebuilt from `run.json` and `results.jsonl`; reading a folder runs
    none of its content.
    """

    def __init__(
        self, folder: str | Path, results: Sequence[Record] | None = None
    ) -> None:
        self.folder = Path(folder)
        self.description: Mapping[str, Any] = read_run(self.folder)
        self.results: list[Record] = list(
            read_records(self.folder) if results is None else results
        )

    @property
    def trainings(self) -> list[Training]:
        """Records of trainings, in the order of the file."""
        return [item for item in self.results if isinstance(item, Training)]

    @property
    def evaluations(self) -> list[Evaluation]:
        """Records of finished trainings on the test part, in the order of the file."""
        return [item for item in self.results if isinstance(item, Evaluation)]

    @property
    def references(self) -> list[Reference]:
        """Records of what is no network of the search, in the order of the file."""
        return [item for item in self.results if isinstance(item, Reference)]

    @property
    def task(self) -> Task:
        """What the networks take in and put out."""
        return Task.from_json(self.description["task"])

    @property
    def budget(self) -> Budget:
        """What a network may cost."""
        return Budget(**self.description["identity"]["budget"])

    @property
    def objective(self) -> Objective:
        """What the search improves."""
        return asked_objective(self.description["identity"], self.task)

    def entries(self) -> list[Entry]:
        """Networks within the budget, baselines included; or the only one asked for."""
        return answers_of(self.results, self.budget, self.description["identity"])

    def front(self) -> list[Entry]:
        """Entries that no other beats in both size and score, smallest first."""
        return front_of(self.entries(), self.objective)

    def best(self) -> Entry:
        """The entry of the best score.

        Raises:
            ResultsError: No training has finished yet.
        """
        return self._found(best_of(self.entries(), self.objective))

    def recommended(self) -> Entry:
        """The smallest entry that is statistically tied with the best.

        Raises:
            ResultsError: No training has finished yet.
        """
        return self._found(recommended_of(self.entries(), self.objective))

    def _found(self, entry: Entry | None) -> Entry:
        if entry is None:
            raise ResultsError(f"{self.folder} has no finished training yet.")
        return entry
