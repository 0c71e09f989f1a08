"""Taking jobs from Slurm to Run:ai and KAI: the wiring around the room `migration`."""
