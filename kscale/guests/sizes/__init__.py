"""Models that kscale did not build: any `keras.Model`, or a file that holds one."""
