"""A running Kubernetes with KAI: etcd, API server, controllers, KAI's daemons, the fake kubelet."""

import atexit
import base64
import contextlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import httpx
import yaml

from tests.lab.daemons import (
    Daemon,
    LabError,
    accepts_connections,
    claim,
    end_lab,
    end_stale_labs,
    free_ports,
    until,
)
from tests.lab.kube import build, certs, objects, operator
from tests.lab.kube.api import Api, ApiError
from tests.lab.kube.kubelet import Kubelet
from tests.lab.kube.operator import Operator

TOKENS = {"alice": "team-a", "bob": "team-b", "viewer": "viewers"}
"""Users of the lab with their group; their token is `lab-NAME`."""

START_TIMEOUT_S = 60.0
KAI = (
    "kai-scheduler",
    "kai-binder",
    "kai-podgrouper",
    "kai-queuecontroller",
    "kai-podgroupcontroller",
)


class KubeLab:
    """Made by `start`, ended by `stop`. `api` are the administrator's hands."""

    def __init__(self, root: Path) -> None:
        self.root = root
        ports = free_ports(20)
        self._etcd_port, self._peer_port, self._api_port, self._webhook_port = ports[:4]
        self._listen = {name: ports[4 + 2 * n : 6 + 2 * n] for n, name in enumerate(KAI)}
        self._admission_ports = ports[14:16]
        self._simulator_port, self._manager_port, self._plugin_port = ports[16:19]
        self.url = f"https://127.0.0.1:{self._api_port}"
        self.certs = root / "certs"
        self.env = {
            "PATH": "/usr/bin:/bin",
            "HOME": str(root),
            "KUBECONFIG": str(root / "admin.kubeconfig"),
            "TMPDIR": str(root / "tmp"),
        }
        self.etcd = self._daemon("etcd", self._etcd_options())
        self.apiserver = self._daemon("kube-apiserver", self._apiserver_options())
        self.manager = self._daemon("kube-controller-manager", self._manager_options())
        self.kai = {name: self._daemon(name, self._kai_options(name)) for name in KAI}
        self.admission = self._daemon("kai-admission", self._admission_options())
        self.simulator = self._daemon(
            "kai-fairshare-simulator", ["-port", str(self._simulator_port)]
        )
        self.api: Api
        self._apis: list[Api] = []
        self._hands: list[Kubelet | Operator] = []

    @property
    def scheduler_url(self) -> str:
        """KAI's read-only pages: /get-job-order and /get-snapshot."""
        return f"http://127.0.0.1:{self._plugin_port}"

    @property
    def metrics_url(self) -> str:
        """The scheduler's metrics, with the fair share of every queue."""
        return f"http://127.0.0.1:{self._listen['kai-scheduler'][0]}/metrics"

    @property
    def fairshare_url(self) -> str:
        """KAI's fair-share simulator: POST /simulate."""
        return f"http://127.0.0.1:{self._simulator_port}"

    @classmethod
    def start(cls, root: Path) -> Self:
        """Start everything in the empty folder `root`; return when KAI schedules.

        Raises `LabError` with the log of what failed; nothing is left running then.
        """
        end_stale_labs(root.parent)
        lab = cls(root)
        atexit.register(lab.stop)
        try:
            lab._bring_up()
        except BaseException:
            lab.stop()
            raise
        return lab

    def stop(self) -> None:
        """End all daemons and delete the folder."""
        atexit.unregister(self.stop)
        every = [*self.kai.values(), self.admission, self.simulator, self.manager]
        for daemon in [*every, self.apiserver, self.etcd]:
            daemon.kill()
        # Their streams broke with the API server, so that they end at once.
        for hand in self._hands:
            hand.stop()
        for api in self._apis:
            api.close()
        end_lab(self.root)

    def kill_api(self) -> None:
        """End the API server as a crash would."""
        self.apiserver.kill()

    def start_api(self) -> None:
        """Start the API server (again) and wait until it answers."""
        self.apiserver.start()
        self.apiserver.until_ready(self.api.ready, START_TIMEOUT_S)

    def compact(self) -> None:
        """Let etcd forget its history, so that a watch from an old version is answered with 410.

        Through etcd's JSON gateway: no etcdctl is needed. The API server's own watch cache has to
        be emptied too, by a restart.
        """
        url = f"http://127.0.0.1:{self._etcd_port}/v3/kv"
        key = base64.b64encode(b"/").decode()
        answer = httpx.post(f"{url}/range", json={"key": key}, trust_env=False).json()
        revision = answer["header"]["revision"]
        done = httpx.post(
            f"{url}/compaction", json={"revision": revision, "physical": True}, trust_env=False
        )
        done.raise_for_status()
        self.kill_api()
        self.start_api()

    def as_user(self, user: str) -> Api:
        """The hands of one of `TOKENS`."""
        return self._new_api(f"lab-{user}")

    def _new_api(self, token: str | None = None) -> Api:
        made = Api(self.url, self.certs, token)
        self._apis.append(made)
        return made

    def kubeconfig(self, user: str = "admin") -> Path:
        """A kubeconfig file for this user, with one context of the user's name."""
        path = self.root / f"{user}.kubeconfig"
        who: dict[str, Any] = {"token": f"lab-{user}"}
        if user == "admin":
            who = {
                "client-certificate": str(self.certs / "admin.crt"),
                "client-key": str(self.certs / "admin.key"),
            }
        cluster = {"server": self.url, "certificate-authority": str(self.certs / "ca.crt")}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": user,
            "clusters": [{"name": "lab", "cluster": cluster}],
            "contexts": [{"name": user, "context": {"cluster": "lab", "user": user}}],
            "users": [{"name": user, "user": who}],
        }
        path.write_text(json.dumps(config))
        path.chmod(0o600)
        return path

    def reset(self) -> None:
        """No workload, the two nodes and the queues as at the start, every daemon running."""
        for daemon in (self.etcd, self.apiserver):
            daemon.resume()
        if not self.apiserver.running:
            self.start_api()
        for daemon in (self.manager, self.admission, *self.kai.values()):
            daemon.resume()
            daemon.start()
        for space in objects.NAMESPACES:
            for path in objects.WORKLOADS:
                at = path.format(namespace=space)
                self.api.delete(at, propagationPolicy="Background", gracePeriodSeconds="0")
        until(lambda: not self.workloads(), 30, "the workloads of the last test to go")
        for node in self.api.get("/api/v1/nodes")["items"]:
            if node["metadata"]["name"] not in objects.NODES:
                self.api.delete(f"/api/v1/nodes/{node['metadata']['name']}")
        self._add_nodes_and_queues()

    def workloads(self) -> list[str]:
        """Names of the pods that are there, reservations with them."""
        pods = self.api.get("/api/v1/pods")["items"]
        return [f"{p['metadata']['namespace']}/{p['metadata']['name']}" for p in pods]

    def pod(self, name: str, namespace: str = "team-a") -> Any:
        """A pod as the API server has it."""
        return self.api.get(f"/api/v1/namespaces/{namespace}/pods/{name}")

    def wait_phase(
        self, name: str, phase: str, namespace: str = "team-a", timeout_s: float = 30
    ) -> Any:
        """Wait until a pod is in a phase and return it; `LabError` shows the pod."""

        def is_so() -> bool:
            with contextlib.suppress(ApiError):
                return bool(self.pod(name, namespace)["status"].get("phase") == phase)
            return False

        try:
            until(is_so, timeout_s, f"pod {namespace}/{name} to be {phase}", 0.1)
        except LabError as error:
            with contextlib.suppress(ApiError):
                shown = json.dumps(self.pod(name, namespace), indent=1)
                raise LabError(f"{error}\n{shown}") from None
            raise
        return self.pod(name, namespace)

    def add_node(self, name: str, gpus: int, product: str, memory_mib: int, pool: str = "") -> None:
        """Add a ready node, or make it as given."""
        self._put("/api/v1/nodes", objects.node(name, gpus, product, memory_mib, pool), name)
        self.api.patch(f"/api/v1/nodes/{name}/status", {"status": objects.node_status(gpus)})

    def add_queue(self, name: str, parent: str | None = None, **gpu: Any) -> None:
        """Add a queue, or make it as given: `quota`, `limit`, `weight` in GPUs; `priority`."""
        path = "/apis/scheduling.run.ai/v2/queues"
        self._put(path, objects.queue(name, parent, **gpu), name)

    def _put(self, path: str, body: Any, name: str) -> None:
        try:
            self.api.create(path, body)
        except ApiError as error:
            if error.status != 409:
                raise
            self.api.patch(f"{path}/{name}", {k: body[k] for k in ("metadata", "spec")})

    # -- starting

    def _bring_up(self) -> None:
        for name in ("log", "tmp", "etcd"):
            (self.root / name).mkdir(parents=True)
        claim(self.root)
        # Where the webhook's server looks by itself: below TMPDIR.
        certs.make(self.certs, self.root / "tmp/k8s-webhook-server/serving-certs")
        lines = [f'lab-{user},{user},u-{user},"{group}"\n' for user, group in TOKENS.items()]
        (self.root / "tokens.csv").write_text("".join(lines))
        (self.root / "scheduler.yaml").write_text(objects.SCHEDULER_CONF)
        for user in ("admin", *TOKENS):
            self.kubeconfig(user)
        self.api = self._new_api()
        self.etcd.start()
        self.etcd.until_ready(lambda: accepts_connections(self._etcd_port), START_TIMEOUT_S)
        self.start_api()
        self.manager.start()
        self._add_kinds()
        for daemon in (*self.kai.values(), self.admission, self.simulator):
            daemon.start()
        self.admission.until_ready(lambda: accepts_connections(self._webhook_port), START_TIMEOUT_S)
        self.simulator.until_ready(
            lambda: accepts_connections(self._simulator_port), START_TIMEOUT_S
        )
        self._add_webhooks()
        self._add_nodes_and_queues()
        self._hands = [Kubelet(self._new_api()), Operator(self._new_api())]
        for hand in self._hands:
            hand.start()

    def _add_kinds(self) -> None:
        """KAI's own kinds, and all that stands in the cluster from the start."""
        path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
        for file in sorted((build.folder() / "crds").glob("*.yaml")):
            self.api.create(path, yaml.load(file.read_bytes(), yaml.CSafeLoader))
        self.api.create(path, operator.crd())
        until(self._kinds_served, 30, "KAI's kinds to be served")
        for path, body in objects.everything():
            self.api.ensure(path, body)

    def _kinds_served(self) -> bool:
        try:
            for path in objects.KINDS_OF_KAI:
                self.api.get(path)
        except ApiError:
            return False
        return True

    def _add_webhooks(self) -> None:
        bundle = base64.b64encode((self.certs / "ca.crt").read_bytes()).decode()
        url = f"https://127.0.0.1:{self._webhook_port}"
        for path, body in objects.webhooks(url, bundle):
            self.api.ensure(path, body)

    def _add_nodes_and_queues(self) -> None:
        for name, (gpus, product, memory_mib) in objects.NODES.items():
            self.add_node(name, gpus, product, memory_mib)
        for name, parent, gpu in objects.QUEUES:
            self.add_queue(name, parent, **gpu)

    # -- daemons

    def _daemon(self, program: str, options: Sequence[str]) -> Daemon:
        argv = [str(build.folder() / program), *options]
        return Daemon(program, argv, self.env, self.root / f"log/{program}.log")

    def _etcd_options(self) -> list[str]:
        client = f"http://127.0.0.1:{self._etcd_port}"
        peer = f"http://127.0.0.1:{self._peer_port}"
        return [
            f"--data-dir={self.root}/etcd",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
            "--unsafe-no-fsync",
        ]

    def _apiserver_options(self) -> list[str]:
        # Without a cloud or a kubelet: no endpoint of loopback, no service accounts forced on pods,
        # no taints that only a real kubelet would take away.
        return [
            f"--etcd-servers=http://127.0.0.1:{self._etcd_port}",
            "--bind-address=127.0.0.1",
            f"--secure-port={self._api_port}",
            "--endpoint-reconciler-type=none",
            "--service-cluster-ip-range=10.96.0.0/24",
            f"--tls-cert-file={self.certs}/apiserver.crt",
            f"--tls-private-key-file={self.certs}/apiserver.key",
            f"--client-ca-file={self.certs}/ca.crt",
            f"--token-auth-file={self.root}/tokens.csv",
            "--authorization-mode=RBAC",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={self.certs}/sa.pub",
            f"--service-account-signing-key-file={self.certs}/sa.key",
            "--disable-admission-plugins=ServiceAccount,TaintNodesByCondition",
            "--allow-privileged=true",
        ]

    def _manager_options(self) -> list[str]:
        # The node life-cycle controller would mark nodes without a kubelet as lost.
        return [
            f"--kubeconfig={self.root}/admin.kubeconfig",
            "--bind-address=127.0.0.1",
            f"--secure-port={self._manager_port}",
            "--leader-elect=false",
            "--controllers=job-controller,garbage-collector-controller,namespace-controller,"
            "serviceaccount-controller",
            "--concurrent-gc-syncs=5",
        ]

    def _kai_options(self, name: str) -> list[str]:
        one, two = (f"127.0.0.1:{port}" for port in self._listen[name])
        probes = [f"--metrics-bind-address={one}", f"--health-probe-bind-address={two}"]
        return {
            "kai-scheduler": [
                "--schedule-period=1s",
                f"--listen-address={one}",
                f"--plugin-server-port={self._plugin_port}",
                "--detailed-fit-errors=true",
                "--v=3",
                f"--scheduler-conf={self.root}/scheduler.yaml",
            ],
            "kai-binder": [*probes, "--fake-gpu-nodes=true"],
            "kai-podgrouper": probes,
            "kai-queuecontroller": [
                "--enable-webhook=false",
                "--skip-controller-name-validation=true",
                f"--metrics-listen-address={one}",
            ],
            "kai-podgroupcontroller": [
                "--enable-podgroup-webhook=false",
                "--skip-controller-name-validation=true",
                *probes,
            ],
        }[name]

    def _admission_options(self) -> list[str]:
        one, two = (f"127.0.0.1:{port}" for port in self._admission_ports)
        return [
            f"--webhook-addr={self._webhook_port}",
            "--gpu-sharing-enabled=true",
            "--fake-gpu-nodes=true",
            "--gpu-pod-runtime-class-name=",
            f"--metrics-bind-address={one}",
            f"--health-probe-bind-address={two}",
        ]


@contextlib.contextmanager
def running(root: Path) -> Iterator[KubeLab]:
    """A lab for the time of a `with` block."""
    lab = KubeLab.start(root)
    try:
        yield lab
    finally:
        lab.stop()
