"""What every test may ask for: the fixtures of the real Slurm lab."""

pytest_plugins = ["tests.lab.plugin"]
