#!/bin/bash -l
#SBATCH --job-name=notebook-port
#SBATCH --account=nlp
#SBATCH --partition=gpu
#SBATCH --gres=gpu:1

source ~/miniconda3/etc/profile.d/conda.sh
conda activate train
python run.py
