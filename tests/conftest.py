"""What every test needs: a quiet TensorFlow, said before anything imports it."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
