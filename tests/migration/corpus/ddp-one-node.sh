#!/bin/bash
#SBATCH --job-name=ddp8
#SBATCH --account=vision
#SBATCH --partition=h100
#SBATCH --nodes=1
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=96
#SBATCH --mem=900G
#SBATCH --time=1-00:00:00

export OMP_NUM_THREADS=12
torchrun --standalone --nproc-per-node=8 train.py --config configs/vit-l.yaml
