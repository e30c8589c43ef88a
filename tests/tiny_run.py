"""One real, tiny search that tests share which need a run and its models."""

import pytest

from kscale import Run


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A finished search on the digits; nobody may change its folder."""
    from kscale import tune

    return tune(
        "digits",
        max_params=1000,
        trials=2,
        epochs=2,
        batch_size=128,
        finalist_seeds=2,
        most_finalists=2,
        run=tmp_path_factory.mktemp("runs") / "tiny",
    )
