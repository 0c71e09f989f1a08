"""Lines of shell by which a job tells its record in which environment it runs. Pure.

Only the job knows: modules, packages and GPUs are those of its node, not those of the host that
submits. The lines run before the program, beside it and bounded in time; they never fail it, never
print more than one line, and hand a password to curl on its standard input alone.
"""

from __future__ import annotations

from foundry_tui.estate.recorded import ENVIRONMENT_FILE
from foundry_tui.tracking.link import ARTIFACTS, RUN_ID

FREEZE_S = 30
"""Seconds that `pip freeze` may take: on a network file system it reads thousands of files."""

UPLOAD_S = 20
MOST_BYTES = 512_000
"""How much of what is told is kept."""

_FIRST = (
    "RANK",
    "SLURM_PROCID",
    "SLURM_NODEID",
    "OMPI_COMM_WORLD_RANK",
    "PMI_RANK",
    "JOB_COMPLETION_INDEX",
)
"""Variables that number the processes, nodes or pods of a run: the first alone tells."""

_SCRIPT = r"""
foundry_environment() {
  set +x; LC_ALL=C; export LC_ALL; umask 077
  file=$(mktemp "${TMPDIR:-/tmp}/foundry-XXXXXX") || return 1
  trap 'rm -f "$file"' EXIT; trap 'exit 1' TERM
  bounded() {
    if command -v timeout >/dev/null; then timeout "$@" || echo "# ended with $?"
    else echo "# not asked: this system has no timeout command"; fi
  }
  quoted() { printf '%s' "$1" | sed 's/[\\"]/\\&/g'; }
  {
    echo "# host"; uname -n; uname -srm
    [ -r /etc/os-release ] && sed -n 's/^PRETTY_NAME=//p' /etc/os-release
    echo "# modules"; printf '%s\n' "${LOADEDMODULES:-}" | tr ':' '\n'
    echo "# gpus"; command -v nvidia-smi >/dev/null && bounded 10 nvidia-smi -L
    for python in python python3; do
      command -v "$python" >/dev/null || continue
      echo "# python"; command -v "$python"; bounded 10 "$python" -V
      [ -n "${CONDA_PREFIX:-}" ] && echo "conda: $CONDA_PREFIX"
      [ -n "${VIRTUAL_ENV:-}" ] && echo "venv: $VIRTUAL_ENV"
      echo "# pip freeze"; bounded @FREEZE@ "$python" -m pip --no-input freeze
      break
    done
  } 2>&1 </dev/null | sed 's#://[^/@[:space:]]*@#://#g' | head -c @MOST@ >"$file"
  {
    if [ -n "${MLFLOW_TRACKING_USERNAME:-}" ] && [ -n "${MLFLOW_TRACKING_PASSWORD:-}" ]; then
      printf 'user = "%s:%s"\n' "$(quoted "$MLFLOW_TRACKING_USERNAME")" \
        "$(quoted "$MLFLOW_TRACKING_PASSWORD")"
    elif [ -n "${MLFLOW_TRACKING_TOKEN:-}" ]; then
      printf 'header = "Authorization: Bearer %s"\n' "$(quoted "$MLFLOW_TRACKING_TOKEN")"
    fi
    ca=${MLFLOW_TRACKING_SERVER_CERT_PATH:-}
    [ -n "$ca" ] && [ -d "$ca" ] && printf 'capath = "%s"\n' "$(quoted "$ca")"
    [ -n "$ca" ] && [ ! -d "$ca" ] && printf 'cacert = "%s"\n' "$(quoted "$ca")"
    [ -n "${MLFLOW_TRACKING_CLIENT_CERT_PATH:-}" ] &&
      printf 'cert = "%s"\n' "$(quoted "$MLFLOW_TRACKING_CLIENT_CERT_PATH")"
    [ "${MLFLOW_TRACKING_INSECURE_TLS:-}" = true ] && echo insecure
    printf 'upload-file = "%s"\n' "$(quoted "$file")"
    printf 'url = "%s/@NAME@"\n' "$(quoted "$@ARTIFACTS@")"
  } | curl -q -sf --connect-timeout 5 --max-time @UPLOAD@ -o /dev/null -K - 2>/dev/null
}
"""

_CALL = (
    '( ( ( foundry_environment 2>/dev/null || echo "foundry: the environment of this run is not '
    'on its record" >&2 ) & ) ) </dev/null >/dev/null || :'
)


def lines() -> tuple[str, ...]:
    """The lines for `sh`, to stand before the program; they do nothing in a run without a record.

    The work is orphaned at once (two subshells), so that a bare `wait` of the program does not
    wait for it.
    """
    first = " && ".join(f'[ "${{{name}:-0}}" = 0 ]' for name in _FIRST)
    task = '[ "${SLURM_ARRAY_TASK_ID:-0}" = "${SLURM_ARRAY_TASK_MIN:-0}" ]'
    linked = f'[ -n "${{{RUN_ID}:-}}" ] && [ -n "${{{ARTIFACTS}:-}}" ]'
    body = _SCRIPT
    for mark, word in (
        ("@FREEZE@", str(FREEZE_S)),
        ("@MOST@", str(MOST_BYTES)),
        ("@UPLOAD@", str(UPLOAD_S)),
        ("@NAME@", ENVIRONMENT_FILE),
        ("@ARTIFACTS@", ARTIFACTS),
    ):
        body = body.replace(mark, word)
    return (
        "# What this job runs in goes to its record, beside the program.",
        f"if {linked} && command -v curl >/dev/null 2>&1 &&",
        f"  {first} &&",
        f"  {task}; then",
        *(f"  {line}" for line in body.strip().splitlines()),
        f"  {_CALL}",
        "fi",
    )
