"""A real Slurm cluster on this one machine, for the tests that must not trust a stand-in."""
