"""The terminal for a GPU estate that is split between Slurm and Run:ai."""

__version__ = "0.1.0"
