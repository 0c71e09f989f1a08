#!/bin/bash
#SBATCH --job-name=nightly
#SBATCH --account=nlp
#SBATCH --partition=cpu
#SBATCH --dependency=singleton
#SBATCH --begin=now+1hour

python collect_metrics.py
