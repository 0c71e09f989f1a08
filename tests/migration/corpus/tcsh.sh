#!/bin/tcsh
#SBATCH --job-name=csh
#SBATCH --account=nlp
#SBATCH --partition=cpu

setenv OMP_NUM_THREADS 4
./legacy
