"""The parts of `experiments/versus_peers.py`."""
