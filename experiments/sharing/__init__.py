"""The parts of `experiments/shared_weights.py`."""
