"""From Slurm to Run:ai: what a batch script becomes, and what does not carry over."""
