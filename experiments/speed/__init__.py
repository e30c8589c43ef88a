"""The parts of `experiments/training_speed.py`, which others use, too."""
