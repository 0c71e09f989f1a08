#!/bin/bash
#SBATCH --job-name=venv
#SBATCH --account=nlp
#SBATCH --partition=gpu
#SBATCH --gres=gpu:1
#SBATCH --chdir=/scratch/nlp/proj

source .venv/bin/activate
source /opt/site/setup.sh
python main.py
