"""Compressing: smaller files of a trained network, each by a method of one table."""
