"""What every test needs: a quiet TensorFlow, said before anything imports it."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from golden_files import golden, pytest_addoption  # noqa: E402, F401
from tiny_run import tiny_run  # noqa: E402, F401
