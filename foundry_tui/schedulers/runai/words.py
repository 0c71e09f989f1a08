"""What the control plane of Run:ai does and cannot do, in words that the simulated one says too."""

from __future__ import annotations

STOPS = "stops the pods and gives the GPUs away; resume starts the container anew"

MOVES_NO_NODES = (
    "the control plane sets no labels of nodes, and a node is in the pool whose label it has: "
    "`kubectl label node NODE KEY=VALUE --overwrite` in the cluster moves it, with the pool's own "
    "label (labelKey and labelValue); so does a source of kind kai that reads this cluster"
)
