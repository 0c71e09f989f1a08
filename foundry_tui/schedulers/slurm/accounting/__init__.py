"""What slurmdbd knows: tries in parts, what they held, accounts, Slurm's own sums."""
