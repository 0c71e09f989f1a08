"""Tries become lines of GPUs and cells of time, joined with what the history saw."""
