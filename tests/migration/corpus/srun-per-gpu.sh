#!/bin/bash
#SBATCH --job-name=lightning
#SBATCH --account=vision
#SBATCH --partition=gpu
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=4
#SBATCH --gres=gpu:a100:4
#SBATCH --cpus-per-task=16
#SBATCH --mem=0
#SBATCH --time=2-00:00:00

export NCCL_SOCKET_IFNAME=ib0
srun python train_lightning.py --devices 4 --num_nodes 2
