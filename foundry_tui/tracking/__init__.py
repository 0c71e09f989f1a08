"""Experiment tracking: the MLflow record of a run, over REST."""
