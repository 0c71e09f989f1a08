"""Runs that come, wait, run and leave: a discrete-event simulation of a cluster's queue.

`jobs` holds the runs, `run.simulate` plays them under a queue discipline and a node placement,
`metrics.summary` says what users and the cluster got out of it.
"""
