#!/bin/bash
#SBATCH --job-name=stranger
#SBATCH --account=physics
#SBATCH --partition=bigmem
#SBATCH --qos=gold
#SBATCH --constraint=skylake

python simulate.py --data /lustre/physics/run7
