"""The command `kscale`, for tests that kill: a checkpoint is written each epoch.

Nobody would ask for that, so that it is no option of the command.
"""

from dataclasses import replace
from typing import Any

from kscale.cli import main, tune
from kscale.tuning.request import SearchRequest

as_asked = tune.search_request


def with_checkpoints(given: dict[str, Any], quiet: bool) -> SearchRequest:
    return replace(as_asked(given, quiet), checkpoint_seconds=0.0)


if __name__ == "__main__":
    tune.search_request = with_checkpoints
    main(prog_name="kscale")
