"""Objects for Kubernetes, against what KAI 0.12 reads and its admission takes."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundry_tui.config.sources import KubernetesConfig
from foundry_tui.estate.acts import Submit
from foundry_tui.process import user_name
from foundry_tui.schedulers.kai.manifest import Manifest, document, make, object_name
from foundry_tui.schedulers.kai.pods import escaped
from foundry_tui.schedulers.options import parse

CONFIG = KubernetesConfig(name="lab")
TOKEN = "0123456789abcdef"
ENOUGH = ("--project=team-a", "--image=python:3.12")


def made(
    *options: str,
    script: bytes = b"python train.py",
    config: KubernetesConfig = CONFIG,
    **more: Any,
) -> Manifest:
    act = Submit(source="lab", script=script, script_name="train.sh", options=options, **more)
    return make(act, parse((*ENOUGH, *options)), TOKEN, config, namespace="work")


def spec_of(manifest: Manifest) -> Any:
    return manifest.pod["spec"]


def test_a_job_with_half_a_gpu_word_by_word() -> None:
    manifest = made(
        *("--gpu-portion-request=0.5", "--priority=build", "--preemptibility=preemptible"),
        *("--cpu-core-request=1.5", "--cpu-memory-request=2G", "--node-pools=a100"),
        script_args=("--lr", "1"),
        environment=(("MLFLOW_RUN_ID", "ab"),),
        work_dir="/work",
    )
    labels = {
        "kai.scheduler/queue": "team-a",
        "foundry/submit-token": TOKEN,
        "priorityClassName": "build",
        "kai.scheduler/preemptibility": "preemptible",
        "kai.scheduler/node-pool": "a100",
    }
    notes = {"foundry/submit-token": TOKEN, "foundry/user": user_name(), "foundry/name": "train"}
    assert manifest.path == "/apis/batch/v1/namespaces/work/jobs"
    assert manifest.body == {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": "train-9f9f51",
            "namespace": "work",
            "labels": labels,
            "annotations": notes,
        },
        "spec": {
            "backoffLimit": 6,
            "podFailurePolicy": {
                "rules": [
                    {
                        "action": "Ignore",
                        "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}],
                    },
                    {
                        "action": "FailJob",
                        "onExitCodes": {"operator": "NotIn", "values": [137, 143]},
                    },
                ]
            },
            "template": {
                "metadata": {"labels": labels, "annotations": {**notes, "gpu-fraction": "0.5"}},
                "spec": {
                    "schedulerName": "kai-scheduler",
                    "restartPolicy": "Never",
                    "containers": [
                        {
                            "name": "main",
                            "image": "python:3.12",
                            "command": [
                                *("/bin/sh", "-c", "python train.py"),
                                *("train.sh", "--lr", "1"),
                            ],
                            "workingDir": "/work",
                            "env": [{"name": "MLFLOW_RUN_ID", "value": "ab"}],
                            "resources": {"requests": {"cpu": "1500m", "memory": "2000000000"}},
                        }
                    ],
                    "nodeSelector": {"kai.scheduler/node-pool": "a100"},
                },
            },
        },
    }


def test_whole_gpus_are_a_limit_and_no_annotation() -> None:
    for options in (("-g", "2"), ("-g", "2", "--gpu-portion-request=1")):
        manifest = made(*options)
        (container,) = spec_of(manifest)["containers"]
        assert container["resources"] == {"limits": {"nvidia.com/gpu": "2"}}
        assert not {k for k in manifest.pod["metadata"]["annotations"] if k.startswith("gpu-")}


def test_parts_of_several_gpus_and_gpu_memory_in_mebibytes() -> None:
    halves = made("-g", "2", "--gpu-portion-request=0.5").pod["metadata"]["annotations"]
    assert (halves["gpu-fraction"], halves["gpu-fraction-num-devices"]) == ("0.5", "2")
    memory = made("--gpu-memory-request=2000Mi").pod["metadata"]["annotations"]
    assert memory["gpu-memory"] == "2000"
    assert "gpu-fraction-num-devices" not in memory
    # A part of a mebibyte is a whole one: less than asked for is never requested.
    assert made("--gpu-memory-request=1k").pod["metadata"]["annotations"]["gpu-memory"] == "1"


def test_no_gpu_asks_for_none() -> None:
    manifest = made()
    (container,) = spec_of(manifest)["containers"]
    assert "resources" not in container
    assert "gpu-fraction" not in manifest.pod["metadata"]["annotations"]


def test_a_gang_of_a_job_names_its_size_on_the_job() -> None:
    body = made("--workers=4", "--kind=Job").body
    assert body["metadata"]["annotations"]["kai.scheduler/batch-min-member"] == "4"
    spec = body["spec"]
    assert (spec["parallelism"], spec["completions"], spec["completionMode"]) == (4, 4, "Indexed")


def test_a_pytorch_job_has_a_master_among_its_workers() -> None:
    manifest = made("--workers=3", "--kind=PyTorchJob", "-g", "1")
    assert manifest.path == "/apis/kubeflow.org/v1/namespaces/work/pytorchjobs"
    replicas = manifest.body["spec"]["pytorchReplicaSpecs"]
    assert {name: r["replicas"] for name, r in replicas.items()} == {"Master": 1, "Worker": 2}
    assert replicas["Master"]["template"]["spec"]["containers"][0]["name"] == "pytorch"
    alone = made("--kind=PyTorchJob").body["spec"]["pytorchReplicaSpecs"]
    assert list(alone) == ["Master"]


def test_secrets_are_references_and_volumes_are_mounted() -> None:
    manifest = made(
        *("--env-secret=HF_TOKEN=hf:key", "--existing-pvc=claimname=team,path=/shared"),
        *("--host-path=path=/mnt,mount=/data", "--large-shm", "--working-dir=/shared/ann"),
        environment=(("A", "1"),),
        work_dir="/elsewhere",
    )
    (container,) = spec_of(manifest)["containers"]
    assert container["env"] == [
        {"name": "A", "value": "1"},
        {"name": "HF_TOKEN", "valueFrom": {"secretKeyRef": {"name": "hf", "key": "key"}}},
    ]
    assert container["workingDir"] == "/shared/ann"
    assert spec_of(manifest)["volumes"] == [
        {"name": "mount-0", "persistentVolumeClaim": {"claimName": "team"}},
        {"name": "mount-1", "hostPath": {"path": "/mnt"}},
        {"name": "shm", "emptyDir": {"medium": "Memory"}},
    ]
    assert container["volumeMounts"] == [
        {"name": "mount-0", "mountPath": "/shared"},
        {"name": "mount-1", "mountPath": "/data", "readOnly": True},
        {"name": "shm", "mountPath": "/dev/shm"},
    ]
    with pytest.raises(ValueError, match="--env-secret: A has a value"):
        made("--env-secret=A=s:k", environment=(("A", "1"),))


def test_a_deadline_is_the_pods_own_and_nothing_begins_again_after_it() -> None:
    job = made("--deadline=1h", "--termination-grace-period=120").body["spec"]
    spec = job["template"]["spec"]
    assert (spec["activeDeadlineSeconds"], spec["terminationGracePeriodSeconds"]) == (3600, 120)
    assert job["backoffLimit"] == 0
    assert "activeDeadlineSeconds" not in job
    training = made("--deadline=1h", "--kind=PyTorchJob", "--workers=2").body["spec"]
    for replica in training["pytorchReplicaSpecs"].values():
        assert replica["template"]["spec"]["activeDeadlineSeconds"] == 3600
    assert "activeDeadlineSeconds" not in training["runPolicy"]


def test_what_fails_begins_again_as_often_as_was_said() -> None:
    job = made("--backoff-limit=2").body["spec"]
    assert job["backoffLimit"] == 2
    assert [rule["action"] for rule in job["podFailurePolicy"]["rules"]] == ["Ignore"]
    training = made("--backoff-limit=2", "--kind=PyTorchJob").body["spec"]
    assert training["runPolicy"]["backoffLimit"] == 2
    master = training["pytorchReplicaSpecs"]["Master"]
    assert master["restartPolicy"] == master["template"]["spec"]["restartPolicy"] == "OnFailure"


def test_an_elastic_training_has_workers_alone() -> None:
    options = ("--kind=PyTorchJob", "--min-replicas=2", "--max-replicas=8")
    spec = made(*options, "--workers=4").body["spec"]
    assert spec["elasticPolicy"] == {"minReplicas": 2, "maxReplicas": 8, "rdzvBackend": "c10d"}
    assert {k: r["replicas"] for k, r in spec["pytorchReplicaSpecs"].items()} == {"Worker": 4}


def test_a_task_that_fails_leaves_the_others_alone() -> None:
    spec = made("--completions=10", "--parallelism=4").body["spec"]
    assert (spec["completions"], spec["parallelism"], spec["completionMode"]) == (10, 4, "Indexed")
    assert spec["podFailurePolicy"]["rules"][-1]["action"] == "FailIndex"
    assert "backoffLimit" not in spec
    assert spec["backoffLimitPerIndex"] == 6
    assert made("--completions=3").body["spec"]["parallelism"] == 3


def test_a_manifest_can_be_shown_without_a_cluster() -> None:
    options = (*ENOUGH, "--workers=2")
    act = Submit(source="lab", script=b"true", script_name="a.sh", options=options)
    shown = document(act)
    assert (shown["kind"], shown["metadata"]["namespace"]) == ("PyTorchJob", "default")
    assert shown["metadata"]["labels"]["foundry/submit-token"] == "made-when-sent"
    with pytest.raises(ValueError, match="--image is missing"):
        document(Submit(source="lab", script=b"true", script_name="a.sh"))


def test_a_bare_pod_carries_the_fraction_itself() -> None:
    manifest = made("--kind=Pod", "--gpu-portion-request=0.25")
    assert manifest.path == "/api/v1/namespaces/work/pods"
    assert manifest.body["metadata"]["annotations"]["gpu-fraction"] == "0.25"
    assert manifest.body == manifest.pod


def test_the_site_names_its_scheduler_labels_and_the_user_the_namespace() -> None:
    config = KubernetesConfig(
        name="runai",
        scheduler_name="runai-scheduler",
        queue_label="runai/queue",
        node_pool_label="runai/node-pool",
    )
    manifest = made("--namespace=runai-team-a", "--node-pools=h100", config=config)
    assert manifest.path == "/apis/batch/v1/namespaces/runai-team-a/jobs"
    assert manifest.body["metadata"]["labels"]["runai/queue"] == "team-a"
    assert spec_of(manifest)["schedulerName"] == "runai-scheduler"
    assert spec_of(manifest)["nodeSelector"] == {"runai/node-pool": "h100"}


def test_the_default_pool_is_the_nodes_without_a_label() -> None:
    manifest = made("--node-pools=default")
    assert "nodeSelector" not in spec_of(manifest)
    assert "kai.scheduler/node-pool" not in manifest.body["metadata"]["labels"]


@pytest.mark.parametrize(
    ("option", "named"),
    [
        ("--gpu-portion-request=inf", "--gpu-portion-request"),
        ("--gpu-portion-request=nan", "--gpu-portion-request"),
        ("--gpu-portion-request=-1", "--gpu-portion-request"),
        ("--gpu-portion-request=0", "--gpu-portion-request"),
        ("--gpu-portion-request=1.5", "--gpu-portion-request"),
        ("--gpu-portion-request=½", "--gpu-portion-request"),
        ("--gpu-portion-request=1e-9", "--gpu-portion-request"),
        ("--gpu-memory-request=-1G", "--gpu-memory-request"),
        ("--gpu-devices-request=-2", "--gpu-devices-request"),
        ("--kind=Deployment", "--kind"),
        ("--node-pools=a,b", "--node-pools"),
        ("--project=größe", "--project"),
        ("--project=a b", "--project"),
        ("--priority=hoch!", "--priority"),
        ("--name=Ünï", "--name"),
        ("--name=-a", "--name"),
        ("--namespace=../x", "--namespace"),
        ("--framework=mpi", "--framework: mpi needs the MPI operator"),
    ],
)
def test_what_cannot_be_is_refused_by_the_name_of_its_option(option: str, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        made(option)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (("--kind=Job", "--min-replicas=1", "--max-replicas=2"), "--max-replicas: a Job"),
        (("--kind=PyTorchJob", "--completions=2"), "--completions: a PyTorchJob"),
        (("--kind=Pod", "--backoff-limit=2"), "--backoff-limit"),
    ],
)
def test_a_kind_that_cannot_is_told(options: tuple[str, ...], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        made(*options)


def test_a_pod_has_no_workers() -> None:
    with pytest.raises(ValueError, match="--workers"):
        made("--kind=Pod", "--workers=2")


@pytest.mark.parametrize("missing", ["--project", "--image"])
def test_queue_and_image_have_to_be_named(missing: str) -> None:
    kept = [o for o in ENOUGH if not o.startswith(missing)]
    act = Submit(source="lab", script=b"true", script_name="a.sh")
    with pytest.raises(ValueError, match=missing):
        make(act, parse(kept), TOKEN, CONFIG, namespace="work")


@pytest.mark.parametrize("script", [b"", b"a\0b", b"\xff\xfe", b"x" * (96 * 1024 + 1)])
def test_a_script_that_cannot_travel_is_refused(script: bytes) -> None:
    with pytest.raises(ValueError, match=r"train\.sh"):
        made(script=script)


@given(st.integers(1, 999), st.integers(1, 16))
def test_every_fraction_is_one_that_admission_takes(milli: int, devices: int) -> None:
    portion = Decimal(milli) / 1000
    notes = made(f"--gpu-portion-request={portion}", "-g", str(devices)).pod["metadata"][
        "annotations"
    ]
    assert 0 < float(notes["gpu-fraction"]) < 1
    assert Decimal(notes["gpu-fraction"]) == portion
    assert notes.get("gpu-fraction-num-devices", "1") == str(devices)


@given(st.from_regex(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?", fullmatch=True), st.text(min_size=1))
def test_an_objects_name_is_a_dns_label_that_the_token_decides(name: str, token: str) -> None:
    made_name = object_name(name, token)
    assert re.fullmatch(r"[a-z]([-a-z0-9]*[a-z0-9])?", made_name)
    assert len(made_name) <= 63
    assert made_name == object_name(name, token)
    assert made_name != object_name(name, token + "x")


@given(st.text(max_size=60))
def test_any_script_name_makes_a_name_or_a_refusal(script_name: str) -> None:
    act = Submit(source="lab", script=b"true", script_name=script_name, options=())
    manifest = make(act, parse(ENOUGH), TOKEN, CONFIG, namespace="work")
    assert re.fullmatch(r"[a-z]([-a-z0-9]*[a-z0-9])?", manifest.name)
    assert len(manifest.name) <= 63


@given(
    st.text(alphabet="$(){}AB x\n", max_size=40),
    st.sampled_from([{}, {"A": "1"}, {"A": "1", "B": "2"}]),
)
def test_a_script_reaches_its_shell_unchanged(text: str, variables: dict[str, str]) -> None:
    assert expanded(escaped(text), variables) == text


def expanded(text: str, variables: dict[str, str]) -> str:
    """What Kubernetes makes of a command: `$$` is `$`, `$(NAME)` a variable that is known."""
    found, i = "", 0
    while i < len(text):
        if text[i] != "$" or i + 1 == len(text):
            found, i = found + text[i], i + 1
        elif text[i + 1] == "$":
            found, i = found + "$", i + 2
        elif text[i + 1] == "(" and (end := text.find(")", i)) > 0:
            name = text[i + 2 : end]
            found, i = found + variables.get(name, f"$({name})"), end + 1
        else:
            found, i = found + text[i : i + 2], i + 2
    return found


def test_a_known_variable_in_a_script_is_left_to_the_shell() -> None:
    (container,) = spec_of(made(script=b"echo $(HOME) $$ $HOME", environment=(("HOME", "$(A)"),)))[
        "containers"
    ]
    assert container["command"][2] == "echo $$(HOME) $$$ $HOME"
    assert container["env"] == [{"name": "HOME", "value": "$$(A)"}]
    assert expanded(container["command"][2], {"HOME": "no"}) == "echo $(HOME) $$ $HOME"


def test_a_name_of_a_variable_that_kubernetes_does_not_take_is_refused() -> None:
    with pytest.raises(ValueError, match="BAD NAME"):
        made(environment=(("BAD NAME", "1"),))
