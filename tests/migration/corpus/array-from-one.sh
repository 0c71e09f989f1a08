#!/bin/bash
#SBATCH --job-name=shards
#SBATCH --account=nlp
#SBATCH --partition=cpu
#SBATCH --array=1-6:2
#SBATCH --mem-per-cpu=4000
#SBATCH --cpus-per-task=4

CONFIG=$(sed -n "${SLURM_ARRAY_TASK_ID}p" /scratch/nlp/configs.txt)
python tokenize_shard.py $CONFIG --workers "$SLURM_CPUS_PER_TASK"
