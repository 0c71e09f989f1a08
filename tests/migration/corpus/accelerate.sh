#!/bin/bash
#SBATCH --job-name=sdxl-lora
#SBATCH --account=vision
#SBATCH --partition=h100
#SBATCH --gpus-per-node=4
#SBATCH --time=10:00:00

accelerate launch --multi_gpu --num_processes 4 --mixed_precision bf16 \
  train_lora.py --rank 16 --resolution 1024
