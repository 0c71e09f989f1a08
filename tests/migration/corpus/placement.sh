#!/bin/bash
#SBATCH --job-name=hpl
#SBATCH --account=astro
#SBATCH --partition=cpu
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=16
#SBATCH --ntasks-per-socket=8
#SBATCH --distribution=block:cyclic
#SBATCH --hint=nomultithread
#SBATCH --switches=1@00:10:00
#SBATCH --cpu-freq=high
#SBATCH --core-spec=2

mpirun ./xhpl
