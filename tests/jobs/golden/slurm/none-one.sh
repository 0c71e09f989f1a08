#!/bin/sh
python train.py --name "it's $HOME" <<'END'
a line with 'quotes', $variables and `commands`
END

# sbatch --job-name=train
# sbatch --nodes=1
# sbatch --ntasks-per-node=1
# sbatch --gres=gpu:4
# sbatch --cpus-per-task=32
# sbatch --time=1:00:00
