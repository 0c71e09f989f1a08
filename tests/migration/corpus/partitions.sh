#!/bin/bash
#SBATCH --job-name=either
#SBATCH --account=vision
#SBATCH --partition=gpu,gpu-long
#SBATCH --gres=gpu:1
#SBATCH --qos=high
#SBATCH --nice=50

python train.py
