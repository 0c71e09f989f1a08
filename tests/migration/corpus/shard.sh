#!/bin/bash
#SBATCH --job-name=notebook
#SBATCH --account=vision
#SBATCH --partition=gpu
#SBATCH --gres=shard:2
#SBATCH --time=8:00:00

jupyter lab --no-browser --ip=0.0.0.0 --port=8888 --notebook-dir=/scratch/vision
