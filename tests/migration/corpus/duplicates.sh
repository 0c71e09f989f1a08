#!/bin/bash
#SBATCH --job-name=first
#SBATCH --job-name=second
#SBATCH --account=nlp
#SBATCH --partition=cpu
#SBATCH --time=10
#SBATCH -t 20

python work.py
