#!/bin/bash
#SBATCH --job-name=größe-实验
#SBATCH --account=nlp
#SBATCH --partition=cpu

echo "Übung → 実験 ✓"
python обучение.py
