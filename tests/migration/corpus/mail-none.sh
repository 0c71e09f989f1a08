#!/bin/bash
#SBATCH --job-name=quiet
#SBATCH --account=nlp
#SBATCH --partition=cpu
#SBATCH --mail-type=NONE
#SBATCH --wait
#SBATCH --input=/dev/null

python report.py
