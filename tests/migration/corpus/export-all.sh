#!/bin/bash
#SBATCH --job-name=env3
#SBATCH --account=nlp
#SBATCH --partition=cpu
#SBATCH --export=ALL

python train.py
