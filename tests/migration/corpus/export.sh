#!/bin/bash
#SBATCH --job-name=env
#SBATCH --account=nlp
#SBATCH --partition=cpu
#SBATCH --export=NONE,WANDB_MODE=offline,HF_HOME=/scratch/nlp/hf

python train.py
