#!/bin/bash
#SBATCH --job-name=fast-net
#SBATCH --account=vision
#SBATCH --constraint="a100&ib"
#SBATCH --gres=gpu:4
#SBATCH --exclude=node[13-15]

torchrun --nproc_per_node=4 train.py
