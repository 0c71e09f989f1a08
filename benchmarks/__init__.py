"""Benchmarks: CPU time and bytes, as ratios to a named peer measured in the same run."""
