#!/bin/bash
#SBATCH --job-name=old-ddp-env
#SBATCH --account=vision
#SBATCH --partition=gpu
#SBATCH --gres=gpu:2

python3 -m torch.distributed.launch --use_env --nproc_per_node=2 -m mypkg.train --amp
