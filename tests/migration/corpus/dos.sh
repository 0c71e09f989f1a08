#!/bin/bash
#SBATCH --job-name=dos
#SBATCH --account=nlp
#SBATCH --partition=cpu

set -e
python train.py \
  --epochs 3
