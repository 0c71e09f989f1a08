#!/bin/sh
#SBATCH -J tiny -A nlp -p gpu
#SBATCH -N 1 -n 1 -c 4
#SBATCH -t 30
#SBATCH -o /scratch/nlp/logs/%x-%j.out -e /scratch/nlp/logs/%x-%j.err

python /scratch/nlp/smoke.py
