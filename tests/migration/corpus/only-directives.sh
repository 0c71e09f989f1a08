#!/bin/bash
#SBATCH --job-name=empty
#SBATCH --account=nlp
#SBATCH --partition=cpu
