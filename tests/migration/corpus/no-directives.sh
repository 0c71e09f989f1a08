#!/bin/bash
# A program that is given its options beside it.
python train.py
