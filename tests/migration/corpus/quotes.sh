#!/bin/bash
#SBATCH --job-name="two words" --comment='it is "quoted"'
#SBATCH --accou=nlp --part gpu   # shortened names, and a comment
#SBATCH --output "/scratch/nlp/my logs/%j.out"

python train.py --note "a 'quoted' thing"
