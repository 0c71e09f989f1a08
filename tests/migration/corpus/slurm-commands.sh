#!/bin/bash
#SBATCH --job-name=asks
#SBATCH --account=nlp
#SBATCH --partition=cpu

squeue -j $SLURM_JOB_ID -h -o %L
LEFT=$(squeue -h -j $SLURM_JOB_ID -o %L)
python work.py --left "$LEFT"
sacct -j $SLURM_JOB_ID --format=MaxRSS
scancel $SLURM_JOB_ID
