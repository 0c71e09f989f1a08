#!/bin/bash
#SBATCH --job-name=functions
#SBATCH --account=nlp
#SBATCH --partition=gpu
#SBATCH --gres=gpu:1

run_fold() {
    local fold=$1
    srun python cv.py --fold "$fold"
}
case "${MODE:-all}" in
    all) for f in 0 1 2; do run_fold $f; done ;;
    one) run_fold 0 ;;
    *) echo "mode?" >&2; exit 2 ;;
esac
