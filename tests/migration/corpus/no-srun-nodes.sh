#!/bin/bash
#SBATCH --job-name=ray
#SBATCH --account=nlp
#SBATCH --partition=cpu
#SBATCH --nodes=2
#SBATCH --exclusive

python driver.py
