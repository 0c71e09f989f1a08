"""Bid prices: every shape of run has a price, every node a worth; a run goes where least is lost.

`shapes` is the mix of runs that is expected, `worth` what the rest of a GPU is worth to it at each
price of a core, `values` what a shape is worth, `stages` how that changes while a cluster fills,
`hosts` the price of the last nodes that can hold a large run. `loops` and `vectors` place with
them, compiled or with numpy, to the same result. The derivation is in docs/placement.md.
"""
