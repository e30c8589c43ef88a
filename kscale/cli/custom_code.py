"""A user's own code, run where it is asked for."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout


@contextmanager
def known_code(hypermodel: str | None) -> Iterator[None]:
    """Where Keras knows the classes and functions of a module.

    Args:
        hypermodel: `MODULE:NAME`, whose module is imported; None for nothing.

    Raises:
        SpecError: It cannot be imported.
    """
    if hypermodel is None:
        yield
        return
    import keras  # seconds

    from kscale.guests.hypermodels.user_code import load_hypermodel

    # What a user's code prints is no part of the answer.
    with redirect_stdout(sys.stderr):
        code = load_hypermodel(hypermodel)
    known = keras.saving.get_custom_objects()
    before = dict(known)
    known.update(code.objects())
    try:
        with code.importable():
            yield
    finally:
        known.clear()
        known.update(before)
