"""The parts of `experiments/versus_keras_tuner.py`."""
