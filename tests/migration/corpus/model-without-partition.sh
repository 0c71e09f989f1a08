#!/bin/bash
#SBATCH --job-name=anywhere
#SBATCH --account=vision
#SBATCH --gpus-per-node=h100:2

python train.py
