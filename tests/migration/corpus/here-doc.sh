#!/bin/bash
#SBATCH --job-name=heredoc
#SBATCH --account=nlp
#SBATCH --partition=gpu
#SBATCH --gres=gpu:1

cat > config.yaml <<'YAML'
path: "it's not a quote that counts
srun: not a command
YAML
cat <<-INFO
	job ${SLURM_JOB_ID}
	INFO
python train.py --config config.yaml
