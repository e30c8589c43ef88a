"""Training: the only place that imports KerasTuner and `tf.distribute`."""
