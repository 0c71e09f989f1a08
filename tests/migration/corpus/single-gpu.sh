#!/bin/bash
#SBATCH --job-name=resnet-baseline
#SBATCH --account=vision
#SBATCH --partition=gpu
#SBATCH --gres=gpu:1
#SBATCH --cpus-per-task=8
#SBATCH --mem=48G
#SBATCH --time=08:00:00

# One GPU, one process: the plainest training there is.
set -euo pipefail
cd /scratch/vision/resnet
python train.py --arch resnet50 --epochs 90 --batch-size 256
