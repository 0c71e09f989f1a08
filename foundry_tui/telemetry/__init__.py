"""Telemetry: what the GPUs really do, read beside the schedulers and never from them.

`ports.py` is what every source can do, and `open.py` makes those of a configuration: `nvml/`,
`nodes/` and `prometheus/`. `exposition/` understands what exporters say; `attribution/` joins it to
GPUs and runs; `demo/` is something to try it on.
"""
