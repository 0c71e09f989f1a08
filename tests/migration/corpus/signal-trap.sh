#!/bin/bash
#SBATCH --job-name=ckpt
#SBATCH --account=nlp
#SBATCH --partition=gpu
#SBATCH --gres=gpu:1
#SBATCH --time=12:00:00
#SBATCH --signal=B:USR1@180
#SBATCH --requeue
#SBATCH --open-mode=append

requeue() {
    echo "time is nearly over"
    kill -USR1 "$CHILD"
    wait "$CHILD"
    scontrol requeue "$SLURM_JOB_ID"
}
trap requeue USR1
python train.py --ckpt /scratch/nlp/ckpt &
CHILD=$!
wait "$CHILD"
