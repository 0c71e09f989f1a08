"""Schedulers behind two small ports (`ports.py`): Slurm, and a simulated estate in two manners."""
