#!/bin/bash
#SBATCH --job-name=forever
#SBATCH --account=nlp
#SBATCH --partition=gpu
#SBATCH --gres=gpu:1
#SBATCH --time=4:00:00
#SBATCH --requeue

python train.py --resume auto
if [ ! -f DONE ]; then
    sbatch --dependency=afterany:$SLURM_JOB_ID "$0"
fi
