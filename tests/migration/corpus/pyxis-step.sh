#!/bin/bash
#SBATCH --job-name=step-image
#SBATCH --account=nlp
#SBATCH --partition=gpu
#SBATCH --gres=gpu:1

srun --container-image=docker://ghcr.io/lab/vllm:0.6 --container-mounts=/scratch:/scratch \
     python -m vllm.entrypoints.openai.api_server --model /scratch/nlp/model
