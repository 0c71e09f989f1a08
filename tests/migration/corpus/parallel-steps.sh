#!/bin/bash
#SBATCH --job-name=four
#SBATCH --account=vision
#SBATCH --partition=gpu
#SBATCH --nodes=1
#SBATCH --ntasks=4
#SBATCH --gres=gpu:4
#SBATCH --time=3:00:00

for fold in 0 1 2 3; do
    srun --exact --ntasks=1 --gres=gpu:1 python cv.py --fold $fold > fold$fold.log 2>&1 &
done
wait
python merge_folds.py
