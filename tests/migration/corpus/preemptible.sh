#!/bin/bash
#SBATCH --job-name=filler
#SBATCH --account=nlp
#SBATCH --partition=gpu
#SBATCH --qos=scavenger
#SBATCH --gres=gpu:1
#SBATCH --no-requeue
#SBATCH --comment="fills gaps, may go at any time"

python hpo.py --trial auto
