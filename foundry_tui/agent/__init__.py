"""The GPU agent of a compute node. It imports nothing else of foundry.

It is two processes, because a call into a sick driver may never return:

- the collector (`collector`, with the reader in `nvml/`) is the only one that touches the driver;
- the serving process (`cli`, with `serving/`) starts and watches it, and answers readers.

Rounds (`shapes`) travel from the one to the other as lines (`wire`). `zipapp` packs all of it into
one file for a compute node.
"""
