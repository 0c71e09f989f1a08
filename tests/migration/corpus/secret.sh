#!/bin/bash
#SBATCH --job-name=tracked
#SBATCH --account=nlp
#SBATCH --partition=gpu
#SBATCH --gres=gpu:1
#SBATCH --export=ALL,WANDB_API_KEY=0123456789abcdef

export HF_TOKEN="hf_notARealOne"
export HF_HOME=/scratch/nlp/hf
python train.py
