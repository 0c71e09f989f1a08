"""The program of a batch script: what starts it, what it uses of Slurm, what becomes of it."""
