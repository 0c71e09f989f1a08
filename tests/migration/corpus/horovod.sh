#!/bin/bash
#SBATCH --job-name=hvd
#SBATCH --account=vision
#SBATCH --partition=gpu
#SBATCH --gres=gpu:4
#SBATCH --time=3:00:00

horovodrun -np 4 --gloo python tf2_keras_mnist.py
