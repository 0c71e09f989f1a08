#!/bin/bash
#SBATCH --job-name=ps-worker
#SBATCH --account=nlp
#SBATCH --partition=cpu
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=1

srun --nodes=1 --ntasks=1 python server.py &
srun --nodes=3 --ntasks=3 python worker.py
wait
