"""Many trainings at once, on one machine or many: Ray Core runs them."""
