"""A submission as the one request that creates it: where it goes, and who may send it."""

from __future__ import annotations

from foundry_tui.estate.acts import PreviewItem, Submit
from foundry_tui.estate.text import SafeText, safe
from foundry_tui.schedulers.options import Wanted, parse, workload_name
from foundry_tui.schedulers.runai.rights import submit_refusal
from foundry_tui.schedulers.runai.tables import Tables, Unit
from foundry_tui.schedulers.runai.wire import encoded
from foundry_tui.schedulers.runai.workload import body, is_distributed

TRAININGS = "/api/v1/workloads/trainings"
DISTRIBUTED = "/api/v1/workloads/distributed"

SUBMIT_TOKEN = "made-when-sent"
"""What stands for the token in a body that is only shown."""


def submit_item(act: Submit, token: str, tables: Tables, me: str) -> PreviewItem:
    """Method, path and body of the one request, or why it would be refused."""
    try:
        wanted = parse(act.options)
        name = workload_name(wanted, act.script_name)
        project = _project(wanted, tables)
        cluster = _cluster(project, tables)
        made = body(act, wanted, name, project=project.id, cluster=cluster, token=token)
    except ValueError as error:
        words = safe(str(error), max_cells=400)
        return PreviewItem(target=act.script_name, command=(), owner=me, refusal=words)
    return PreviewItem(
        target=act.script_name,
        command=("POST", _path(wanted), encoded(made).decode()),
        owner=me,
        refusal=submit_refusal(tables, project),
        warning=_warning(act, wanted),
    )


def document(act: Submit) -> dict[str, object]:
    """The body for a control plane that is not asked: nothing is read or sent.

    Ids that only the control plane knows stand as `<project id>` and `<cluster id>`.

    Raises:
        ValueError: an option that Run:ai cannot follow, or a missing image.
    """
    wanted = parse(act.options)
    return body(
        act,
        wanted,
        workload_name(wanted, act.script_name),
        project="<project id>",
        cluster="<cluster id>",
        token=SUBMIT_TOKEN,
    )


def _path(wanted: Wanted) -> str:
    return DISTRIBUTED if is_distributed(wanted) else TRAININGS


def _project(wanted: Wanted, tables: Tables) -> Unit:
    if wanted.project is None:
        able = [p for p in tables.projects.values() if submit_refusal(tables, p) is None]
        if len(able) == 1:
            return able[0]
        names = ", ".join(p.name for p in able) or "none that may be listed"
        raise ValueError(f"--project is not given; projects here: {names}")
    found = tables.project(wanted.project)
    if found is None:
        names = ", ".join(p.name for p in tables.projects.values()) or "none that may be listed"
        raise ValueError(f"--project: there is no project {wanted.project!r}; projects: {names}")
    return found


def _cluster(project: Unit, tables: Tables) -> str:
    cluster = tables.cluster_of(project)
    if cluster is None:
        raise ValueError(
            f"it is not known to which cluster project {project.name} belongs: set `cluster`"
        )
    return cluster


def _warning(act: Submit, wanted: Wanted) -> SafeText | None:
    found = []
    first = act.script.split(b"\n", 1)[0].decode("utf-8", "replace")
    if first.startswith("#!") and not first.endswith(("/sh", "env sh")):
        found.append(f"{first} is not looked at: /bin/sh of the image runs the script")
    if wanted.gpu_portion_milli not in (None, 1000) or wanted.gpu_memory_bytes is not None:
        found.append("a portion is a share of the GPU's memory; its compute is not guaranteed")
    return safe("; ".join(found), max_cells=400) if found else None
