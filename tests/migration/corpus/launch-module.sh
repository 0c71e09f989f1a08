#!/bin/bash
#SBATCH --job-name=old-ddp
#SBATCH --account=vision
#SBATCH --partition=gpu
#SBATCH --gres=gpu:4
#SBATCH --time=4:00:00

python -u -m torch.distributed.launch --nproc_per_node=4 train_old.py --lr 0.1
