#!/bin/bash
#SBATCH --job-name=paths
#SBATCH --account=nlp
#SBATCH --partition=gpu
#SBATCH --gres=gpu:1

DATA=$SCRATCH/imagenet
cp $HOME/configs/base.yaml .
python train.py --data "$DATA" --ref ~/ref.pt --old /cluster/work/old.pt > /scratch/$USER/log.txt
