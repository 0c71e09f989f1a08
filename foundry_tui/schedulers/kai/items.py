"""What is known of one run before anything is asked of the API: is the act of any use to it?"""

from __future__ import annotations

from dataclasses import dataclass

from foundry_tui.estate.acts import (
    Cancel,
    ChangeRun,
    Hold,
    PreviewItem,
    Release,
    Resubmit,
    Resume,
    RunAct,
    Suspend,
)
from foundry_tui.estate.run import HOLDING, LIVE, Run, RunState
from foundry_tui.estate.text import safe
from foundry_tui.process import user_name
from foundry_tui.schedulers.kai.wire import Request

HOMES = {
    "Pod": "/api/v1/namespaces/{}/pods/{}",
    "Job": "/apis/batch/v1/namespaces/{}/jobs/{}",
    "PyTorchJob": "/apis/kubeflow.org/v1/namespaces/{}/pytorchjobs/{}",
    "TFJob": "/apis/kubeflow.org/v1/namespaces/{}/tfjobs/{}",
    "XGBoostJob": "/apis/kubeflow.org/v1/namespaces/{}/xgboostjobs/{}",
    "JAXJob": "/apis/kubeflow.org/v1/namespaces/{}/jaxjobs/{}",
    "MPIJob": "/apis/kubeflow.org/v2beta1/namespaces/{}/mpijobs/{}",
    "RayJob": "/apis/ray.io/v1/namespaces/{}/rayjobs/{}",
    "JobSet": "/apis/jobset.x-k8s.io/v1alpha2/namespaces/{}/jobsets/{}",
    "TrainingWorkload": "/apis/run.ai/v2alpha1/namespaces/{}/trainingworkloads/{}",
    "InteractiveWorkload": "/apis/run.ai/v2alpha1/namespaces/{}/interactiveworkloads/{}",
    "DistributedWorkload": "/apis/run.ai/v2alpha1/namespaces/{}/distributedworkloads/{}",
}
"""Kind of a top owner that is a run of its own -> its address. Services are not ended from here."""

SUSPENDED = {
    "Job": ("spec", "suspend"),
    "JobSet": ("spec", "suspend"),
    "RayJob": ("spec", "suspend"),
    "PyTorchJob": ("spec", "runPolicy", "suspend"),
    "TFJob": ("spec", "runPolicy", "suspend"),
    "XGBoostJob": ("spec", "runPolicy", "suspend"),
    "JAXJob": ("spec", "runPolicy", "suspend"),
    "MPIJob": ("spec", "runPolicy", "suspend"),
}
"""Kind -> where it says that it is suspended; other kinds cannot be."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of an item before anything is asked."""

    target: str
    run: Run
    kind: str
    ends: bool

    def item(
        self,
        requests: tuple[Request, ...],
        *,
        refusal: str | None = None,
        warning: str | None = None,
    ) -> PreviewItem:
        notes = [warning] if warning else []
        if self.run.user not in (None, user_name()):
            notes.append(f"belongs to {self.run.user}")
        return PreviewItem(
            target=self.target,
            command=tuple(word for request in requests for word in request.words),
            owner=self.run.user,
            before=f"{self.run.state.value} (held)" if self.run.held else self.run.state.value,
            loss_gpu_s=_loss_gpu_s(self.run) if self.ends else None,
            refusal=safe(refusal, max_cells=400) if refusal else None,
            warning=safe("; ".join(notes), max_cells=400) if notes else None,
        )


def _loss_gpu_s(run: Run) -> float | None:
    """GPU-seconds of work that ending its pods throws away; 0 for a run that has none."""
    if run.state not in HOLDING - {RunState.SUSPENDED}:
        return 0.0
    if run.started_at is None or run.read_at is None or run.request.gpu_milli is None:
        return None
    held_s = max(0.0, (run.read_at - run.started_at).total_seconds())
    return held_s * run.request.gpu_milli / 1000


def pointless(act: RunAct, run: Run, kind: str) -> str | None:
    """Why an act has no meaning for a run in this state."""
    if run.state not in LIVE:
        return f"it has ended already ({run.state.value})"
    if isinstance(act, Cancel):
        return None
    waits, stopped = run.state is RunState.PENDING, run.state is RunState.SUSPENDED
    if isinstance(act, Resubmit):
        return None if waits else f"it is {run.state.value}: only a waiting run is made anew"
    if isinstance(act, ChangeRun):
        if waits or stopped:
            return None
        again = "; suspend it, change it, then resume it" if kind in SUSPENDED else ""
        return f"it runs: only a waiting run can be changed{again}"
    if kind not in SUSPENDED:
        what = "a bare Pod" if kind == "Pod" else f"a {kind or 'workload'}"
        return f"{what} cannot be stopped and started again: cancel it and submit it again"
    if isinstance(act, Hold | Release) and not waits:
        return f"it is {run.state.value}: only a waiting run can be held or released"
    if isinstance(act, Hold) and run.held:
        return "it is held already"
    if isinstance(act, Release) and not run.held:
        return "it is not held"
    if isinstance(act, Suspend) and waits:
        return "it waits: hold it"
    if isinstance(act, Suspend) and stopped:
        return "it is suspended already"
    if isinstance(act, Resume) and not stopped:
        return "it is held: release it" if run.held else "it is not suspended"
    return None
