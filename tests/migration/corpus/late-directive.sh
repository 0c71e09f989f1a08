#!/bin/bash
#SBATCH --job-name=late
#SBATCH --account=nlp
#SBATCH --partition=gpu
##SBATCH --partition=h100
# SBATCH --mem=1G

set -e
#SBATCH --gres=gpu:4
#SBATCH --time=99:00:00
python train.py
