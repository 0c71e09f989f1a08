#!/bin/bash
#SBATCH --job-name=mods2
#SBATCH --account=vision
#SBATCH --partition=gpu
#SBATCH --gres=gpu:1

module use /scratch/vision/modulefiles
ml cuda/12.4 openmpi/5.0
if [ -n "$USE_NCCL" ]; then module load nccl/2.21; fi
python bench.py
