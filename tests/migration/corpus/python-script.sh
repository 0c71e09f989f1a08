#!/usr/bin/env python3
#SBATCH --job-name=py
#SBATCH --account=nlp
#SBATCH --partition=cpu
#SBATCH --time=5

import os

print("job", os.environ.get("SLURM_JOB_ID"))
