#!/bin/bash
#SBATCH --job-name=zero3-multi
#SBATCH --account=nlp
#SBATCH --partition=h100
#SBATCH --nodes=2
#SBATCH --gpus-per-node=8
#SBATCH --time=20:00:00

scontrol show hostnames "$SLURM_JOB_NODELIST" | sed 's/$/ slots=8/' > hostfile
deepspeed --hostfile hostfile --no_local_rank train.py --deepspeed_config ds_zero3.json
