"""A user's models: any `keras_tuner.HyperModel`, searched as a family is."""
