#!/bin/bash
#SBATCH --job-name=broken
#SBATCH --account=nlp
#SBATCH --partition=cpu

echo "this never ends
python train.py
