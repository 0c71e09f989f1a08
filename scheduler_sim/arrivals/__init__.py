"""Pods arrive and stay: the published placement experiment, replayed.

`trace` reads the nodes and pods, `stream` makes the arrival list of a seed, `arrays` the form that
loops take, `published` the six published policies, `replay` the decisions of a policy and what
they are worth. The experiment is that of Weng et al., "Beware of Fragmentation: Scheduling
GPU-Sharing Workloads with Fragmentation Gradient Descent", USENIX ATC 2023.
"""
