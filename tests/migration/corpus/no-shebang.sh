#SBATCH --job-name=bare
#SBATCH --account=nlp
#SBATCH --partition=cpu

python work.py
