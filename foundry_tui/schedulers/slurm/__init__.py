"""Slurm 22.05 to 25.11 through its own commands, or through pyslurm where that matches."""
