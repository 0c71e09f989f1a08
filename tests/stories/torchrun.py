#!/usr/bin/env python3
"""A stand-in for torchrun: the same options, rendezvous and variables, without torch.

The agent that can bind the endpoint keeps the store, the others join it there, and each starts its
processes with the ranks that it was given. As the real one it dies of a signal that it does not
know. The nodes of the lab are one host, so a name that does not resolve is this host.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import time
from typing import Any

DEADLINE_S = 30
LAST_CALL_S = 2


def main() -> int:
    options = asked()
    least, most = (int(n) for n in (options.nnodes.split(":") * 2)[:2])
    each = options.nproc_per_node
    told = assign([each])[0] if options.standalone else met(options, least, most)
    for restart in range(options.max_restarts + 1):
        code = run(options, told, restart)
        if code == 0:
            break
    return code


def asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="torchrun", allow_abbrev=False)
    parser.add_argument("--nnodes", default="1:1")
    parser.add_argument("--nproc-per-node", type=int, default=1)
    parser.add_argument("--rdzv-id", default="none")
    parser.add_argument("--rdzv-backend", choices=["c10d"])
    parser.add_argument("--rdzv-endpoint", default="")
    parser.add_argument("--max-restarts", type=int, default=0)
    parser.add_argument("--standalone", action="store_true")
    parser.add_argument("--no-python", action="store_true", required=True)
    parser.add_argument("program", nargs=argparse.REMAINDER)
    return parser.parse_args()


def met(options: argparse.Namespace, least: int, most: int) -> dict[str, Any]:
    """What this agent is told at the rendezvous."""
    host, _, port = options.rdzv_endpoint.rpartition(":")
    place = (resolved(host), int(port))
    mine = {"id": options.rdzv_id, "processes": options.nproc_per_node}
    try:
        store = socket.create_server(place)
    except OSError:
        return joined(place, mine)
    with store:
        return kept(store, mine, least, most)


def kept(store: socket.socket, mine: dict[str, Any], least: int, most: int) -> dict[str, Any]:
    """Wait for the agents, last call after the fewest are there, and tell each its ranks."""
    agents: list[tuple[socket.socket, int]] = []
    end = time.monotonic() + DEADLINE_S
    while len(agents) + 1 < most:
        enough = len(agents) + 1 >= least
        store.settimeout(LAST_CALL_S if enough else max(0.1, end - time.monotonic()))
        try:
            agent, _ = store.accept()
        except TimeoutError:
            if enough:
                break
            sys.exit("torchrun: rendezvous: not enough nodes came")
        with agent.makefile("r") as lines:
            theirs = json.loads(lines.readline())
        if theirs["id"] != mine["id"]:
            sys.exit(f"torchrun: rendezvous: {theirs['id']} is another run")
        agents.append((agent, theirs["processes"]))
    told = assign([mine["processes"], *(count for _, count in agents)])
    for (agent, _), part in zip(agents, told[1:], strict=True):
        agent.sendall(json.dumps(part).encode() + b"\n")
        agent.close()
    return told[0]


def joined(place: tuple[str, int], mine: dict[str, Any]) -> dict[str, Any]:
    end = time.monotonic() + DEADLINE_S
    while True:
        try:
            with socket.create_connection(place, timeout=DEADLINE_S) as store:
                store.sendall(json.dumps(mine).encode() + b"\n")
                with store.makefile("r") as lines:
                    told: dict[str, Any] = json.loads(lines.readline())
                return told
        except (OSError, ValueError):
            if time.monotonic() > end:
                raise
            time.sleep(0.05)


def assign(counts: list[int]) -> list[dict[str, Any]]:
    """The ranks of each agent, and one port for the processes to meet at."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    return [
        {"node": n, "first": sum(counts[:n]), "world": sum(counts), "port": port}
        for n in range(len(counts))
    ]


def run(options: argparse.Namespace, told: dict[str, Any], restart: int) -> int:
    """Start the processes and wait; when one fails the others are ended."""
    children = []
    for local in range(options.nproc_per_node):
        ranks = {
            "RANK": told["first"] + local,
            "LOCAL_RANK": local,
            "WORLD_SIZE": told["world"],
            "LOCAL_WORLD_SIZE": options.nproc_per_node,
            "GROUP_RANK": told["node"],
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": told["port"],
            "TORCHELASTIC_RUN_ID": options.rdzv_id,
            "TORCHELASTIC_RESTART_COUNT": restart,
        }
        env = {**os.environ, **{name: str(value) for name, value in ranks.items()}}
        children.append(subprocess.Popen(options.program, env=env))
    while any(child.poll() is None for child in children):
        if any(child.returncode for child in children):
            for child in children:
                child.terminate()
        time.sleep(0.05)
    return next((child.returncode for child in children if child.returncode), 0) and 1


def resolved(host: str) -> str:
    try:
        return socket.gethostbyname(host)
    except OSError:
        return "127.0.0.1"


if __name__ == "__main__":
    sys.exit(main())
