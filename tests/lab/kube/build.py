"""The programs of the lab, built from the Go modules that `tools/go.mod` names, kept by version.

No package has a kube-apiserver, so it is built. Measured on 2 cores with empty caches: 7 min 20 s
wall in all, kube-apiserver with 1.8 GB the largest; 600 MB of programs, and about 5 GB of Go's own
caches. KAI is v0.12.0 under its old module path: the proxy serves no newer one.

Of Kubeflow's training operator the kind PyTorchJob alone is taken, from its module by version.

`python -m tests.lab.kube.build` builds and tells how long each took.
"""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from tests.lab.components import required

TOOLS = Path(__file__).with_name("tools")
KWOK = Path(__file__).with_name("kwok")
KUBERNETES_VERSION = "1.34.4"
COMPLETE = ".complete"
"""File in the folder that stands there when all programs are built."""

BUILD_TIMEOUT_S = 3600

_KAI = "github.com/NVIDIA/KAI-scheduler"
_PROGRAMS = {
    "etcd": "go.etcd.io/etcd/server/v3",
    "kube-apiserver": "k8s.io/kubernetes/cmd/kube-apiserver",
    "kube-controller-manager": "k8s.io/kubernetes/cmd/kube-controller-manager",
    **{
        f"kai-{name}": f"{_KAI}/cmd/{name}"
        for name in (
            "fairshare-simulator",
            "scheduler",
            "binder",
            "admission",
            "podgrouper",
            "queuecontroller",
            "podgroupcontroller",
        )
    },
}
"""Name of the program -> its package."""

_CRDS = (
    "scheduling.run.ai_queues",
    "scheduling.run.ai_podgroups",
    "scheduling.run.ai_bindrequests",
    "kai.scheduler_topologies",
)
OPERATOR = "github.com/kubeflow/training-operator"
OPERATOR_VERSION = "v1.9.3"
_PYTORCHJOBS = "manifests/base/crds/kubeflow.org_pytorchjobs.yaml"
"""The definition of PyTorchJob in the operator's module."""

_VERSION = "k8s.io/component-base/version"
_LINK = (
    f"-s -w -X {_VERSION}.gitVersion=v{KUBERNETES_VERSION}"
    f" -X {_VERSION}.gitMajor=1 -X {_VERSION}.gitMinor=34"
    " -X sigs.k8s.io/controller-runtime/pkg/metrics/server.DefaultBindAddress=0"
)
"""Without a version the API server calls itself v0.0.0-master. Without the last word KAI's
podgroupcontroller, which passes no address on, takes port 8080: a second lab could not start it."""


def folder() -> Path:
    """Where the programs are, or would be; named by all that they are made from."""
    return _kept("kube", TOOLS)


def kwok() -> Path:
    """Where the program of the scale test is, or would be."""
    return _kept("kwok", KWOK)


def pytorchjobs() -> Path:
    """Where the definition of PyTorchJob is, or would be."""
    return _cache() / f"training-operator-{OPERATOR_VERSION}" / "pytorchjobs.yaml"


def _cache() -> Path:
    cache = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(cache) if cache.startswith("/") else Path.home() / ".cache") / "foundry-lab"


def _kept(name: str, module: Path) -> Path:
    made_from = (module / "go.mod").read_bytes() + (module / "go.sum").read_bytes()
    digest = hashlib.sha256(made_from + _LINK.encode()).hexdigest()[:12]
    return _cache() / f"{name}-{digest}"


def missing() -> str | None:
    """Why there is no Kubernetes; None when there is. Built here where `FOUNDRY_REQUIRE` says."""
    if (folder() / COMPLETE).exists() and pytorchjobs().exists():
        return None
    if not required() & {"kubernetes", "kai"}:
        lacks = folder() if not (folder() / COMPLETE).exists() else pytorchjobs()
        return f"{lacks} is not there; `python -m tests.lab.kube.build` makes it"
    try:
        build()
    except (OSError, subprocess.SubprocessError) as error:
        output = getattr(error, "output", None) or b""
        return f"the Kubernetes lab could not be built: {error}\n{output.decode()[-2000:]}"
    return None


def build() -> None:
    """Build every program; a second one at a time waits for the first and finds them built.

    Raises:
        OSError: there is no Go, or no room.
        subprocess.SubprocessError: a program cannot be built; its output tells why.
    """
    place = folder()
    place.parent.mkdir(parents=True, exist_ok=True)
    with (place.parent / f"{place.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (place / COMPLETE).exists():
            _build_all(place)
        if not pytorchjobs().exists():
            _take_pytorchjobs(pytorchjobs())


def _build_all(place: Path) -> None:
    shutil.rmtree(place, ignore_errors=True)
    (place / "crds").mkdir(parents=True)
    for program, package in _PROGRAMS.items():
        _build(TOOLS, place / program, package)
    kai = Path(_go(TOOLS, "list", "-m", "-f", "{{.Dir}}", _KAI).decode().strip())
    for name in _CRDS:
        file = kai / "deployments/kai-scheduler/crds" / f"{name}.yaml"
        (place / "crds" / file.name).write_bytes(file.read_bytes())
    (place / COMPLETE).touch()


def _take_pytorchjobs(target: Path) -> None:
    """Out of the operator's module, whose checksum Go checks."""
    target.parent.mkdir(parents=True, exist_ok=True)
    told = json.loads(_go(TOOLS, "mod", "download", "-json", f"{OPERATOR}@{OPERATOR_VERSION}"))
    part = target.with_suffix(".part")
    part.write_bytes((Path(told["Dir"]) / _PYTORCHJOBS).read_bytes())
    part.rename(target)


def build_kwok() -> Path:
    """Build the program of the scale test; returns it. Raises as `build`."""
    place = kwok()
    place.mkdir(parents=True, exist_ok=True)
    if not (place / "kwok").exists():
        _build(KWOK, place / "kwok", "sigs.k8s.io/kwok/cmd/kwok")
    return place / "kwok"


def _build(module: Path, target: Path, package: str) -> None:
    started = time.monotonic()
    part = target.with_name(f"{target.name}.part")
    _go(module, "build", "-trimpath", "-ldflags", _LINK, "-o", str(part), package)
    part.rename(target)
    print(f"{target.name}: {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)


def _go(module: Path, *argv: str) -> bytes:
    done = subprocess.run(
        ["go", *argv],
        cwd=module,
        env={**os.environ, "CGO_ENABLED": "0"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT if argv[0] == "build" else subprocess.PIPE,
        timeout=BUILD_TIMEOUT_S,
    )
    done.check_returncode()
    return done.stdout


if __name__ == "__main__":
    try:
        build()
    except (OSError, subprocess.SubprocessError) as error:
        output = getattr(error, "output", None) or b""
        sys.exit(f"{error}\n{output.decode(errors='replace')[-4000:]}")
    print(folder())
