#!/bin/bash
#SBATCH --job-name=booked
#SBATCH --account=astro
#SBATCH --partition=cpu
#SBATCH --reservation=course
#SBATCH --licenses=matlab@lic:2
#SBATCH --wckey=teaching
#SBATCH --bb="capacity=100G"
#SBATCH --clusters=alpha
#SBATCH --hold

matlab -batch "run('fit.m')"
