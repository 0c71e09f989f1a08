#!/bin/bash
#SBATCH --job-name=md
#SBATCH --account=astro
#SBATCH --partition=gpu
#SBATCH --ntasks=4
#SBATCH --gres=gpu:4
#SBATCH --time=6:00:00

module load gromacs/2024
mpirun -np 4 gmx_mpi mdrun -deffnm /scratch/astro/prod -nb gpu
