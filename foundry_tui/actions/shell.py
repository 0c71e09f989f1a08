"""A shell inside one's own running run: whether there can be one, and its exact command."""

from __future__ import annotations

from foundry_tui.actions.errors import ActionError
from foundry_tui.actions.site import Site
from foundry_tui.estate.run import Run, RunState
from foundry_tui.schedulers.ports import SchedulerError


def refusal(site: Site, run: Run) -> str | None:
    """Why there can be no shell in this run; None when it can be tried. Nobody is asked."""
    if site.options.read_only or site.config.read_only:
        return "read-only: a shell could change anything"
    if site.mode == "saved":
        return "a saved estate has nothing that runs"
    if site.mode == "demo":
        return f"{run.native_id} is simulated: there is no machine behind it"
    if run.scheduler != "slurm":
        return f"{run.native_id} is no run of Slurm; a shell is only there so far"
    if run.state is not RunState.RUNNING:
        return f"{run.native_id} is {run.state.value}: only in a running run there is a shell"
    if run.user != site.user(run.source):
        return f"{run.native_id} belongs to {run.user or 'somebody unknown'}, not to you"
    return None


def argv(site: Site, run: Run) -> tuple[str, ...]:
    """The command of a shell in a run, for a terminal of its own.

    Raises:
        ActionError: there can be none, and why.
    """
    from foundry_tui.schedulers.slurm.adapter import SlurmAdapter
    from foundry_tui.schedulers.slurm.shell import shell_command

    if (why := refusal(site, run)) is not None:
        raise ActionError(f"shell: {why}")
    scheduler = site.scheduler(run.source)
    if not isinstance(scheduler, SlurmAdapter):
        raise ActionError(f"shell: {run.source} gives no shells")
    try:
        return shell_command(scheduler.commands, run.native_id)
    except SchedulerError as error:
        raise ActionError(f"shell: {error}") from error
