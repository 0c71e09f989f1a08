#!/bin/bash
#SBATCH --job-name=mods
#SBATCH --account=vision
#SBATCH --partition=gpu
#SBATCH --gres=gpu:1

source /etc/profile.d/modules.sh
module purge
module load cuda/12.4 pytorch/2.5
module list
python bench.py
