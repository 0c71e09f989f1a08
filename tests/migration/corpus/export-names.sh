#!/bin/bash
#SBATCH --job-name=env2
#SBATCH --account=nlp
#SBATCH --partition=cpu
#SBATCH --export=ALL,HF_TOKEN
#SBATCH --get-user-env

python train.py
