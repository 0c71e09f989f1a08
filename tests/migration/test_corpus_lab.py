"""Every manifest of the corpus on a real API server with KAI: its dry run takes them all."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from tests.lab.kube.api import ApiError
from tests.lab.kube.cluster import KubeLab
from tests.migration.golden import SCRIPTS, translated

HOMES = {
    "Pod": "/api/v1/namespaces/team-a/pods",
    "Job": "/apis/batch/v1/namespaces/team-a/jobs",
    "PyTorchJob": "/apis/kubeflow.org/v1/namespaces/team-a/pytorchjobs",
}
DRY = "?dryRun=All&fieldValidation=Strict"


def test_the_server_would_take_every_manifest(kube: KubeLab) -> None:
    tried = 0
    for path in SCRIPTS:
        for manifest in translated(path.name, "kai").manifests:
            body: Any = copy.deepcopy(dict(manifest))
            body["metadata"]["namespace"] = "team-a"
            kube.api.create(HOMES[body["kind"]] + DRY, body)
            tried += 1
    assert tried > 60
    assert all(not kube.api.get(home)["items"] for home in HOMES.values())
    body["spec"]["noSuchField"] = 1
    with pytest.raises(ApiError, match="noSuchField"):
        kube.api.create(HOMES[body["kind"]] + DRY, body)
