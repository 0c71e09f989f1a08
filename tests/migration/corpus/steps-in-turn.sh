#!/bin/bash
#SBATCH --job-name=pipeline
#SBATCH --account=nlp
#SBATCH --partition=gpu
#SBATCH --gres=gpu:1
#SBATCH --cpus-per-task=8
#SBATCH --time=5:00:00

srun python prepare.py --in /projects/corpora/c4 --out /scratch/nlp/c4
srun python train.py --data /scratch/nlp/c4
srun python evaluate.py --ckpt /scratch/nlp/last.pt
