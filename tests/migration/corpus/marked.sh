#!/bin/bash
#SBATCH --job-name=bom
#SBATCH --account=nlp
#SBATCH --partition=cpu

python work.py
