"""Keras code of a network, to paste into a project where kscale is not installed."""
