#!/bin/bash
#SBATCH --job-name=fsdp
#SBATCH --account=nlp
#SBATCH --partition=h100
#SBATCH --gpus-per-node=8
#SBATCH --time=10:00:00

accelerate launch --config_file fsdp.yaml train.py --bf16
