"""What a batch script of Slurm does before its program: lines of bash, a block for each thing."""

from __future__ import annotations

import shlex

from foundry_tui.jobs.launchers import torchrun
from foundry_tui.jobs.spec import JobSpec, Launcher, Secret

NODE = "${SLURMD_NODENAME:-this node}"
FIRST_PORT, PORTS = 20_000, 40_000
"""Ports at which the processes meet: below those that Linux hands out by itself, mostly."""

_INITS = (
    '"${MODULESHOME:-}/init/bash"',
    "/etc/profile.d/modules.sh",
    "/etc/profile.d/lmod.sh",
    "/usr/share/lmod/lmod/init/bash",
)
"""What defines `module` where the job did not inherit it."""

_SECRET = f"""\
foundry_secret() {{
  foundry_file=${{FOUNDRY_SECRETS:-$HOME/.config/foundry/secrets}}/$2
  if [ -d "$foundry_file" ]; then foundry_file=$foundry_file/$3; fi
  if [ ! -f "$foundry_file" ] || [ ! -r "$foundry_file" ]; then
    echo "foundry: secrets.$1: on {NODE} there is no file $foundry_file that you can read;" \\
      "put the value into it and run \\`chmod 600\\` on it" >&2
    exit 1
  fi
  case $(stat -L -c %a -- "$foundry_file") in
    *00) ;;
    *)
      echo "foundry: secrets.$1: others can read $foundry_file: run \\`chmod 600\\` on it" >&2
      exit 1
      ;;
  esac
  export "$1=$(cat -- "$foundry_file")"
}}"""


def attempt(spec: JobSpec) -> tuple[str, ...]:
    """Count the attempts, and stop behind the last one that `retry` allows.

    Slurm counts how often it has restarted a job, whoever asked for it.
    """
    if spec.retry is None and spec.checkpoint is None:
        return ()
    lines = (
        "# Slurm counts the restarts.",
        "export FOUNDRY_ATTEMPT=$((${SLURM_RESTART_COUNT:-0} + 1))",
    )
    if spec.retry is None:
        return lines
    most = spec.retry.most
    return (
        *lines,
        f'if [ "$FOUNDRY_ATTEMPT" -gt {most + 1} ]; then',
        f'  echo "foundry: retry: begun again {most} times already (most: {most}): not run" >&2',
        "  exit 1",
        "fi",
    )


def modules(spec: JobSpec) -> tuple[str, ...]:
    """Load the modules, or say which one there is not."""
    if not spec.modules:
        return ()
    lines = [
        "# `module` is a function, which not every job inherits.",
        "if ! command -v module >/dev/null 2>&1; then",
        f"  for foundry_file in {' '.join(_INITS)}; do",
        '    if [ -r "$foundry_file" ]; then . "$foundry_file"; break; fi',
        "  done",
        "fi",
        "if ! command -v module >/dev/null 2>&1; then",
        f'  echo "foundry: modules: there is no \\`module\\` command on {NODE}" >&2',
        "  exit 1",
        "fi",
    ]
    for name in map(shlex.quote, spec.modules):
        lines += [
            f"module load {name} || {{",
            f"  printf 'foundry: modules: %s was not loaded on %s\\n' {name} \"{NODE}\" >&2",
            "  exit 1",
            "}",
        ]
    return tuple(lines)


def secrets(spec: JobSpec) -> tuple[str, ...]:
    """Read each secret from a file of the user into its variable; no process sees it as argument.

    `export` is a builtin of the shell, so the value stands in no command line either.
    """
    if not spec.secrets:
        return ()
    return ("# Secrets are files of the user.", *_SECRET.splitlines(), *map(_secret, spec.secrets))


def _secret(secret: Secret) -> str:
    return shlex.join(("foundry_secret", secret.variable, secret.name, secret.key))


def rendezvous(spec: JobSpec) -> tuple[str, ...]:
    """Where the processes meet: the first node, and a port that two jobs hardly share.

    It is found out here because a container on the node may have no `scontrol`. The id is that of
    the task of an array, not of the array.
    """
    lines: list[str] = []
    alone = (spec.nodes_most or spec.nodes or 1) == 1
    if not (alone and spec.launcher in (Launcher.NONE, *torchrun.LAUNCHERS)):
        lines += [
            "# The processes meet on the first node, at a port of this job.",
            'MASTER_ADDR=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)',
            f"MASTER_PORT=$(({FIRST_PORT} + SLURM_JOB_ID % {PORTS}))",
            "export MASTER_ADDR MASTER_PORT",
            'if [ -z "$MASTER_ADDR" ]; then',
            '  echo "foundry: scontrol did not tell the nodes of this job" >&2',
            "  exit 1",
            "fi",
        ]
    if spec.launcher is not Launcher.NONE:
        lines.append("export NCCL_DEBUG=${NCCL_DEBUG:-WARN}")
        if (threads := cpus_per_process(spec)) is not None:
            lines.append(f"export OMP_NUM_THREADS=${{OMP_NUM_THREADS:-{threads}}}")
    return tuple(lines)


def cpus_per_process(spec: JobSpec) -> int | None:
    """Whole CPUs for each process of a node, at least one; None where the spec says none."""
    if spec.cpu_milli is None:
        return None
    return max(1, -(-spec.cpu_milli // 1000) // spec.processes_per_node)
