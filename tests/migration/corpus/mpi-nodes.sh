#!/bin/bash
#SBATCH --job-name=nbody
#SBATCH --account=astro
#SBATCH --partition=cpu
#SBATCH --nodes=3
#SBATCH --ntasks-per-node=32
#SBATCH --time=6:00:00

export UCX_TLS=rc
mpiexec --map-by ppr:32:node --bind-to core -x UCX_TLS ./nbody --steps 20000
