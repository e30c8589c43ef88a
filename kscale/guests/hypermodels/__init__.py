"""A user's own models: any `keras_tuner.HyperModel`, searched as a family is."""
