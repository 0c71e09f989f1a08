#!/bin/bash
#SBATCH --job-name=lattice
#SBATCH --account=astro
#SBATCH --partition=cpu
#SBATCH --ntasks=16
#SBATCH --mem-per-cpu=2G
#SBATCH --time=4:00:00

export OMP_NUM_THREADS=1
srun --mpi=pmix ./lattice --grid 64 --out /scratch/astro/lattice
