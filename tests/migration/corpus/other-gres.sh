#!/bin/bash
#SBATCH --job-name=nvme
#SBATCH --account=vision
#SBATCH --partition=gpu
#SBATCH --gres=gpu:2,nvme:1
#SBATCH --tmp=500G

python train.py --cache "$TMPDIR"
