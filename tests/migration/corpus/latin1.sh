#!/bin/bash
#SBATCH --job-name=latin
#SBATCH --account=nlp
#SBATCH --partition=cpu

# Größe
echo 'fünf'
python work.py
