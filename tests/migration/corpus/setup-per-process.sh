#!/bin/bash
#SBATCH --job-name=stage-in
#SBATCH --account=vision
#SBATCH --partition=gpu
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=4
#SBATCH --time=6:00:00

tar -xf /scratch/vision/imagenet.tar -C /tmp
pip install --quiet -r requirements.txt
srun torchrun --nnodes=2 --nproc_per_node=4 train.py --data /tmp/imagenet
cp best.pt /scratch/vision/best.pt
