#!/bin/bash
#SBATCH --job-name=stage-in-1
#SBATCH --account=vision
#SBATCH --partition=gpu
#SBATCH --gpus-per-node=4
#SBATCH --time=6:00:00

rsync -a /projects/imagenet/ /tmp/imagenet/
srun torchrun --standalone --nproc_per_node=gpu train.py --data /tmp/imagenet
