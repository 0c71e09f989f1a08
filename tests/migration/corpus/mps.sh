#!/bin/bash
#SBATCH --job-name=mps
#SBATCH --account=vision
#SBATCH --partition=gpu
#SBATCH --gres=mps:25

python serve.py
