#!/bin/bash
#SBATCH --job-name=stage2
#SBATCH --account=nlp
#SBATCH --partition=gpu
#SBATCH --gres=gpu:1
#SBATCH --dependency=afterok:48211:48212

python stage2.py --input /scratch/nlp/stage1
