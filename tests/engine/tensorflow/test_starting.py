"""What the collector of garbage is kept from while TensorFlow starts and trains."""

import gc
from collections.abc import Callable

import pytest

from kscale.engine.tensorflow.starting import settled, uncollected


@pytest.mark.parametrize("switch", [gc.enable, gc.disable])
def test_collecting_goes_on_as_before_an_import(switch: Callable[[], None]) -> None:
    try:
        switch()
        before = gc.isenabled()
        with pytest.raises(ImportError), uncollected():
            assert not gc.isenabled()
            import no_such_module  # noqa: F401
        assert gc.isenabled() == before
    finally:
        gc.enable()


def test_what_a_search_found_can_be_freed_after_it() -> None:
    with pytest.raises(ValueError), settled():
        assert gc.get_freeze_count()
        raise ValueError
    assert not gc.get_freeze_count()
