"""The command lines of the lab's programs, all on loopback."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.lab.daemons import free_ports

KAI = (
    "kai-scheduler",
    "kai-binder",
    "kai-podgrouper",
    "kai-queuecontroller",
    "kai-podgroupcontroller",
)
"""KAI's daemons that need only the API server."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """TCP ports on loopback; the daemons in `KAI` and the admission have two each."""

    etcd: int
    peer: int
    api: int
    manager: int
    webhook: int
    admission: tuple[int, int]
    simulator: int
    plugin: int
    kai: dict[str, tuple[int, int]]

    @classmethod
    def free(cls) -> "Ports":
        """Ports that nobody uses now. Raises `LabError` when there are none."""
        ports: Iterator[int] = iter(free_ports(9 + 2 * len(KAI)))
        return cls(
            etcd=next(ports),
            peer=next(ports),
            api=next(ports),
            manager=next(ports),
            webhook=next(ports),
            admission=(next(ports), next(ports)),
            simulator=next(ports),
            plugin=next(ports),
            kai={name: (next(ports), next(ports)) for name in KAI},
        )


def of(root: Path, ports: Ports) -> dict[str, list[str]]:
    """Options of every program of a lab in `root`, by the program's name."""
    return {
        "etcd": _etcd(root, ports),
        "kube-apiserver": _apiserver(root, ports),
        "kube-controller-manager": _manager(root, ports),
        "kai-admission": _admission(ports),
        "kai-fairshare-simulator": ["-port", str(ports.simulator)],
        **_kai(root, ports),
    }


def pool_scheduler(root: Path, pool: str) -> list[str]:
    """Options of one more scheduler: KAI needs one for each node pool."""
    metrics, plugin = free_ports(2)
    return [*_scheduler(root, metrics, plugin), f"--partition-label-value={pool}"]


def _etcd(root: Path, ports: Ports) -> list[str]:
    client, peer = f"http://127.0.0.1:{ports.etcd}", f"http://127.0.0.1:{ports.peer}"
    return [
        f"--data-dir={root}/etcd",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
        "--unsafe-no-fsync",
    ]


def _apiserver(root: Path, ports: Ports) -> list[str]:
    # Without a cloud or a kubelet: no endpoint of loopback, no service accounts forced on pods,
    # no taints that only a real kubelet would take away.
    certs = root / "certs"
    return [
        f"--etcd-servers=http://127.0.0.1:{ports.etcd}",
        "--bind-address=127.0.0.1",
        f"--secure-port={ports.api}",
        "--endpoint-reconciler-type=none",
        "--service-cluster-ip-range=10.96.0.0/24",
        f"--tls-cert-file={certs}/apiserver.crt",
        f"--tls-private-key-file={certs}/apiserver.key",
        f"--client-ca-file={certs}/ca.crt",
        f"--token-auth-file={root}/tokens.csv",
        "--authorization-mode=RBAC",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={certs}/sa.pub",
        f"--service-account-signing-key-file={certs}/sa.key",
        "--disable-admission-plugins=ServiceAccount,TaintNodesByCondition",
        "--allow-privileged=true",
    ]


def _manager(root: Path, ports: Ports) -> list[str]:
    # The node life-cycle controller would mark nodes without a kubelet as lost.
    return [
        f"--kubeconfig={root}/admin.kubeconfig",
        "--bind-address=127.0.0.1",
        f"--secure-port={ports.manager}",
        "--leader-elect=false",
        "--controllers=job-controller,garbage-collector-controller,namespace-controller,"
        "serviceaccount-controller",
        "--concurrent-gc-syncs=5",
    ]


def _kai(root: Path, ports: Ports) -> dict[str, list[str]]:
    probes = {name: _probes(ports.kai[name]) for name in KAI}
    return {
        "kai-scheduler": _scheduler(root, ports.kai["kai-scheduler"][0], ports.plugin),
        "kai-binder": [*probes["kai-binder"], "--fake-gpu-nodes=true"],
        "kai-podgrouper": probes["kai-podgrouper"],
        "kai-queuecontroller": [
            "--enable-webhook=false",
            "--skip-controller-name-validation=true",
            f"--metrics-listen-address=127.0.0.1:{ports.kai['kai-queuecontroller'][0]}",
        ],
        "kai-podgroupcontroller": [
            "--enable-podgroup-webhook=false",
            "--skip-controller-name-validation=true",
            *probes["kai-podgroupcontroller"],
        ],
    }


def _scheduler(root: Path, metrics: int, plugin: int) -> list[str]:
    return [
        "--schedule-period=1s",
        f"--listen-address=127.0.0.1:{metrics}",
        f"--plugin-server-port={plugin}",
        "--detailed-fit-errors=true",
        "--v=3",
        f"--scheduler-conf={root}/scheduler.yaml",
    ]


def _admission(ports: Ports) -> list[str]:
    return [
        f"--webhook-addr={ports.webhook}",
        "--gpu-sharing-enabled=true",
        "--fake-gpu-nodes=true",
        "--gpu-pod-runtime-class-name=",
        *_probes(ports.admission),
    ]


def _probes(ports: tuple[int, int]) -> list[str]:
    metrics, health = ports
    return [
        f"--metrics-bind-address=127.0.0.1:{metrics}",
        f"--health-probe-bind-address=127.0.0.1:{health}",
    ]
