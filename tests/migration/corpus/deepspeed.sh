#!/bin/bash
#SBATCH --job-name=zero3
#SBATCH --account=nlp
#SBATCH --partition=h100
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-gpu=12
#SBATCH --mem-per-gpu=100G
#SBATCH --time=20:00:00

deepspeed --num_gpus=8 --master_port 29511 train.py --deepspeed_config ds_zero3.json
