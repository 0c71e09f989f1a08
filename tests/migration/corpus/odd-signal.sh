#!/bin/bash
#SBATCH --job-name=prof
#SBATCH --account=nlp
#SBATCH --partition=gpu
#SBATCH --gres=gpu:1
#SBATCH --signal=SIGPROF@60

python profile_me.py
