#!/bin/bash
#SBATCH --job-name=letters
#SBATCH --account=nlp
#SBATCH --partition=cpu
#SBATCH --mail-type=END,FAIL
#SBATCH --mail-user=ann@example.org
#SBATCH --time=0

python report.py
