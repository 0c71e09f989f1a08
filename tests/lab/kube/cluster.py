"""A running Kubernetes with KAI: etcd, API server, controllers, KAI's daemons, the fake kubelet."""

import atexit
import base64
import contextlib
import json
from collections.abc import Collection, Iterator, Sequence
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
    until,
)
from tests.lab.kube import build, certs, objects, options
from tests.lab.kube.api import Api, ApiError
from tests.lab.kube.kubelet import Kubelet
from tests.lab.kube.operator import Operator

TOKENS = {"alice": "team-a", "bob": "team-b", "viewer": "viewers"}
"""Users of the lab with their group; their token is `lab-NAME`."""

START_TIMEOUT_S = 60.0
QUEUES = "/apis/scheduling.run.ai/v2/queues"


class KubeLab:
    """Made by `start`, ended by `stop`. `api` are the administrator's hands."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.ports = options.Ports.free()
        self.url = f"https://127.0.0.1:{self.ports.api}"
        self.certs = root / "certs"
        self.env = {
            "PATH": "/usr/bin:/bin",
            "HOME": str(root),
            "KUBECONFIG": str(root / "admin.kubeconfig"),
            "TMPDIR": str(root / "tmp"),
        }
        programs = {
            name: self._daemon(name, argv) for name, argv in options.of(root, self.ports).items()
        }
        self.etcd = programs["etcd"]
        self.apiserver = programs["kube-apiserver"]
        self.manager = programs["kube-controller-manager"]
        self.kai = {name: programs[name] for name in options.KAI}
        self.admission = programs["kai-admission"]
        self.simulator = programs["kai-fairshare-simulator"]
        self.pools: dict[str, Daemon] = {}
        self.api: Api
        self._apis: list[Api] = []
        self._hands: list[Kubelet | Operator] = []

    def _daemon(self, program: str, argv: Sequence[str], suffix: str = "") -> Daemon:
        log = self.root / f"log/{program}{suffix}.log"
        return Daemon(program, [str(build.folder() / program), *argv], self.env, log)

    @property
    def scheduler_url(self) -> str:
        """KAI's read-only pages: /get-job-order and /get-snapshot."""
        return f"http://127.0.0.1:{self.ports.plugin}"

    @property
    def metrics_url(self) -> str:
        """The scheduler's metrics, with the fair share of every queue."""
        return f"http://127.0.0.1:{self.ports.kai['kai-scheduler'][0]}/metrics"

    @property
    def fairshare_url(self) -> str:
        """KAI's fair-share simulator: POST /simulate."""
        return f"http://127.0.0.1:{self.ports.simulator}"

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
        every = [*self.pools.values(), *self.kai.values(), self.admission, self.simulator]
        every.append(self.manager)
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
        url = f"http://127.0.0.1:{self.ports.etcd}/v3/kv"
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
        until(self._kinds_served, 30, "KAI's kinds to be served again")
        for daemon in (self.manager, self.admission, self.simulator, *self.kai.values()):
            daemon.resume()
            daemon.start()
        self.admission.until_ready(lambda: accepts_connections(self.ports.webhook), START_TIMEOUT_S)
        self._delete_workloads()
        for scheduler in self.pools.values():
            scheduler.kill()
        self.pools.clear()
        self._delete_others("/api/v1/nodes", objects.NODES)
        self._delete_others(QUEUES, [name for name, _, _ in objects.QUEUES])
        self._add_nodes_and_queues()

    def _delete_workloads(self) -> None:
        """Empty every namespace of users, and delete those that a test added."""
        spaces = [*objects.NAMESPACES, *self._namespaces_of_tests()]
        for space in ("default", *spaces):
            for path in objects.WORKLOADS:
                at = path.format(namespace=space)
                self.api.delete(at, propagationPolicy="Background", gracePeriodSeconds="0")
        until(lambda: not self.workloads(), 90, "the workloads of the last test to go")
        self._delete_others("/api/v1/namespaces", [*objects.NAMESPACES, *objects.SYSTEM])
        until(lambda: not self._namespaces_of_tests(), 60, "the namespaces of the last test to go")

    def _namespaces_of_tests(self) -> list[str]:
        return self._others("/api/v1/namespaces", [*objects.NAMESPACES, *objects.SYSTEM])

    def _delete_others(self, path: str, known: Collection[str]) -> None:
        for name in self._others(path, known):
            self.api.delete(f"{path}/{name}")

    def _others(self, path: str, known: Collection[str]) -> list[str]:
        """Names in the collection at this path that are not in `known`."""
        names = [item["metadata"]["name"] for item in self.api.get(path)["items"]]
        return [name for name in names if name not in known]

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
        """Add a ready node, or make it as given: neither cordoned nor tainted."""
        body = objects.node(name, gpus, product, memory_mib, pool)
        if not self.api.ensure("/api/v1/nodes", body):
            self.api.replace(f"/api/v1/nodes/{name}", body)
        self.api.patch(f"/api/v1/nodes/{name}/status", {"status": objects.node_status(gpus)})

    def add_queue(self, name: str, parent: str | None = None, **gpu: Any) -> None:
        """Add a queue, or make it as given.

        In `gpu`: `quota` and `limit` in GPUs, `weight`, `priority`, `pool`.
        """
        body = objects.queue(name, parent, **gpu)
        if not self.api.ensure(QUEUES, body):
            spec = {"parentQueue": None, "priority": None, **body["spec"]}
            labels = {objects.POOL_LABEL: None, **body["metadata"]["labels"]}
            self.api.patch(f"{QUEUES}/{name}", {"metadata": {"labels": labels}, "spec": spec})

    def serve_pool(self, pool: str) -> None:
        """Start a scheduler for the nodes, queues and pods of a node pool, until the next reset.

        The lab's first scheduler serves those without a pool only.
        """
        argv = options.pool_scheduler(self.root, pool)
        self.pools[pool] = self._daemon("kai-scheduler", argv, f"-{pool}")
        self.pools[pool].start()

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
        self.etcd.until_ready(lambda: accepts_connections(self.ports.etcd), START_TIMEOUT_S)
        self.start_api()
        self.manager.start()
        self._add_kinds()
        for daemon in (*self.kai.values(), self.admission, self.simulator):
            daemon.start()
        self.admission.until_ready(lambda: accepts_connections(self.ports.webhook), START_TIMEOUT_S)
        self.simulator.until_ready(
            lambda: accepts_connections(self.ports.simulator), START_TIMEOUT_S
        )
        self._add_webhooks()
        self._add_nodes_and_queues()
        self._hands = [Kubelet(self._new_api()), Operator(self._new_api())]
        for hand in self._hands:
            hand.start()

    def _add_kinds(self) -> None:
        """The kinds of KAI and the training operator, and what stands there from the start."""
        path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
        for file in (*sorted((build.folder() / "crds").glob("*.yaml")), build.pytorchjobs()):
            self.api.create(path, yaml.load(file.read_bytes(), yaml.CSafeLoader))
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
        url = f"https://127.0.0.1:{self.ports.webhook}"
        for path, body in objects.webhooks(url, bundle):
            self.api.ensure(path, body)

    def _add_nodes_and_queues(self) -> None:
        for name, (gpus, product, memory_mib) in objects.NODES.items():
            self.add_node(name, gpus, product, memory_mib)
        for name, parent, gpu in objects.QUEUES:
            self.add_queue(name, parent, **gpu)


@contextlib.contextmanager
def running(root: Path) -> Iterator[KubeLab]:
    """A lab for the time of a `with` block."""
    lab = KubeLab.start(root)
    try:
        yield lab
    finally:
        lab.stop()
