#!/bin/bash
#PBS -l walltime=1:00:00
#SBATCH --job-name=both
#SBATCH --account=nlp
#SBATCH --partition=cpu
#SBATCH --plugin-of-the-site=7

python work.py
