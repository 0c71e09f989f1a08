"""A GPU cluster in arrays: its state, placement policies, workload and a small live engine.

Only numpy is needed, nothing here opens a network connection, and nothing is known of the rest of
the program: the same code serves a simulated estate, placement advice and replayed traces.

`cluster` holds the state, `fragmentation` the measure of stranded GPU share, `policies` the choice
of node and GPUs, `workload` the runs that arrive, `queueing` one pass of a scheduler over its
queue, `jobs` and `engine` a cluster that lives. All amounts are integers: thousandths of a GPU or
of a core (milli), MiB, seconds.
"""
