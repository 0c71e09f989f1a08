"""The sources that can be configured, each a frozen record documented by its fields' metadata.

The words of the metadata are told in `config.model`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


def about(doc: str, **more: object) -> dict[str, Any]:
    return {"doc": doc, **more}


@dataclass(frozen=True, slots=True, kw_only=True)
class SlurmConfig:
    """One Slurm cluster."""

    name: str
    conf: Path | None = field(
        default=None,
        metadata=about(
            "The cluster's slurm.conf; without it Slurm finds its own.",
            example="/etc/slurm/slurm.conf",
        ),
    )
    bin: Path | None = field(
        default=None,
        metadata=about(
            "Folder of squeue, scontrol and the others; without it the PATH.",
            example="/opt/slurm/bin",
        ),
    )
    timeout_s: float = field(
        default=12.0,
        metadata=about(
            "Seconds that one Slurm command may take. Slurm itself gives up after its "
            "MessageTimeout, 10 s by default, and then says why; a shorter time hides that.",
            least=1.0,
            most=600.0,
        ),
    )
    read: str = field(
        default="text",
        metadata=about(
            "How jobs are read: text columns (cheapest), json, or pyslurm (extra `slurm`).",
            choices=("text", "json", "pyslurm"),
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class RunaiConfig:
    """One Run:ai tenant. Its credential is read by `config.secrets`."""

    name: str
    url: str = field(
        metadata=about(
            "Address of the Run:ai control plane.", example="https://runai.example.org", url=True
        )
    )
    client_id: str | None = field(
        default=None,
        metadata=about(
            "Id of the access key, whose secret is the credential below; without it the login of "
            "the `runai` command is used.",
            example="foundry",
        ),
    )
    credential_file: Path | None = field(
        default=None,
        metadata=about(
            "File with the credential; mode 0600 and yours, or it is not read.",
            example="~/.config/foundry/runai.credential",
            private=True,
        ),
    )
    credential_env: str | None = field(
        default=None,
        metadata=about(
            "Environment variable with the credential, where there is no credential_file.",
            example="RUNAI_CREDENTIAL",
            private=True,
        ),
    )
    credential_command: tuple[str, ...] = field(
        default=(),
        metadata=about(
            "Command that prints the credential, where there is neither of the two above.",
            example=("pass", "show", "runai"),
            private=True,
        ),
    )
    cli_login: Path | None = field(
        default=None,
        metadata=about(
            "Folder of the `runai` command's login; without it $RUNAI_CLI_CONFIG_PATH, else "
            "~/.runai. Read where there is no client_id.",
            example="~/.runai",
        ),
    )
    cluster: str | None = field(
        default=None,
        metadata=about(
            "Name or uuid of the one cluster to show; without it every cluster of the tenant.",
            example="gpu-cluster",
        ),
    )
    ca_file: Path | None = field(
        default=None,
        metadata=about(
            "Certificate of the authority that signed the control plane's; without it the "
            "system's authorities.",
            example="/etc/ssl/certs/site-ca.pem",
        ),
    )
    timeout_s: float = field(
        default=12.0,
        metadata=about("Seconds that one request may take.", least=1.0, most=600.0),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class KubernetesConfig:
    """One Kubernetes cluster that runs KAI, or Run:ai seen from inside."""

    name: str
    context: str | None = field(
        default=None,
        metadata=about(
            "Context of the kubeconfig; without it the current one.", example="gpu-cluster"
        ),
    )
    kubeconfig: Path | None = field(
        default=None,
        metadata=about(
            "The kubeconfig; without it $KUBECONFIG, else ~/.kube/config.",
            example="~/.kube/config",
        ),
    )
    namespaces: tuple[str, ...] = field(
        default=(),
        metadata=about(
            "Namespaces whose workloads are read, for users who may not list all; empty is all.",
            example=("team-a", "team-b"),
        ),
    )
    scheduler_name: str = field(
        default="kai-scheduler",
        metadata=about("schedulerName of the pods; Run:ai's own is runai-scheduler."),
    )
    queue_label: str = field(
        default="kai.scheduler/queue",
        metadata=about("Label that names a workload's queue; older ones have runai/queue."),
    )
    node_pool_label: str = field(
        default="kai.scheduler/node-pool",
        metadata=about("Label that names a node's pool; Run:ai's own is runai/node-pool."),
    )
    reservation_namespace: str = field(
        default="kai-resource-reservation",
        metadata=about(
            "Namespace of the pods that hold shared GPUs; Run:ai's own is runai-reservation."
        ),
    )
    scheduler_url: str | None = field(
        default=None,
        metadata=about(
            "Address of the scheduler's read-only page, for places in the queue; without it none.",
            example="http://127.0.0.1:8081",
            url=True,
        ),
    )
    timeout_s: float = field(
        default=12.0,
        metadata=about("Seconds that one request may take.", least=1.0, most=600.0),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class TelemetryConfig:
    """One source of GPU readings. Its credential is read by `config.secrets`."""

    name: str
    kind: str = field(
        metadata=about(
            "nvml: the GPUs of this host; agents: `foundry agent` on every node; dcgm: a "
            "dcgm-exporter on every node; prometheus: a Prometheus or VictoriaMetrics server.",
            example="prometheus",
            choices=("nvml", "agents", "dcgm", "prometheus"),
        )
    )
    url: str | None = field(
        default=None,
        metadata=about(
            "Address of the server; of agents and exporters with {node} where the name of a node "
            "goes, asked of every node that the schedulers list.",
            example="https://{node}:9470/metrics",
            url=True,
        ),
    )
    targets_file: Path | None = field(
        default=None,
        metadata=about(
            "Agents or exporters as a list instead: a file as Prometheus' file_sd_configs takes "
            "it, in JSON, with the label `node` for a node's name.",
            example="/etc/foundry/targets.json",
        ),
    )
    match: tuple[str, ...] = field(
        default=(),
        metadata=about(
            "Labels that series of a Prometheus server must have, each as name=value.",
            example=("cluster=gpu-cluster",),
        ),
    )
    credential_file: Path | None = field(
        default=None,
        metadata=about(
            "File with the bearer token; mode 0600 and yours, or it is not read.",
            example="~/.config/foundry/agents.token",
            private=True,
        ),
    )
    credential_env: str | None = field(
        default=None,
        metadata=about(
            "Environment variable with the token, where there is no credential_file.",
            example="FOUNDRY_AGENTS_TOKEN",
            private=True,
        ),
    )
    credential_command: tuple[str, ...] = field(
        default=(),
        metadata=about(
            "Command that prints the token, where there is neither of the two above.",
            example=("pass", "show", "foundry-agents"),
            private=True,
        ),
    )
    ca_file: Path | None = field(
        default=None,
        metadata=about(
            "Certificate of the authority that signed the servers' own; without it the system's "
            "authorities.",
            example="/etc/ssl/certs/site-ca.pem",
        ),
    )
    client_cert: Path | None = field(
        default=None,
        metadata=about(
            "Certificate that foundry shows to servers that ask for one (mTLS).",
            example="~/.config/foundry/client.pem",
        ),
    )
    client_key: Path | None = field(
        default=None,
        metadata=about(
            "Key of that certificate; mode 0600 and yours, or it is not read.",
            example="~/.config/foundry/client.key",
        ),
    )
    gpu_index: str = field(
        default="auto",
        metadata=about(
            "What the scheduler's index of a GPU means on the nodes: nvml (order of the PCI bus), "
            "minor (the N of /dev/nvidiaN), or auto (what the processes seen on the GPUs say).",
            choices=("auto", "nvml", "minor"),
        ),
    )
    timeout_s: float = field(
        default=5.0,
        metadata=about("Seconds that one request may take.", least=1.0, most=600.0),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class MlflowConfig:
    """One MLflow tracking server."""

    name: str
    url: str = field(
        metadata=about(
            "Address of the tracking server.", example="https://mlflow.example.org", url=True
        )
    )
    experiment: str | None = field(
        default=None,
        metadata=about(
            "Experiment of the runs whose script and submit name none; without it Default.",
            example="llama-ft",
        ),
    )


SourceConfig = SlurmConfig | RunaiConfig | KubernetesConfig | TelemetryConfig | MlflowConfig
