"""Rights are asked rarely, and what holds is told in the order: host, policy, scheduler."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import pytest

from foundry_tui.actions import permitted
from foundry_tui.actions.doctor import _policy
from foundry_tui.actions.errors import ActionError
from foundry_tui.actions.site import Options, Site
from foundry_tui.actions.sources import Scheduler
from foundry_tui.changes import approval
from foundry_tui.changes.people import Person
from foundry_tui.changes.planfile import digest
from foundry_tui.config.model import Changing, Config
from foundry_tui.estate.acts import ChangeNode, Hold
from foundry_tui.estate.plan import Move, Target
from foundry_tui.estate.rights import Association, Rights
from foundry_tui.schedulers.ports import Unavailable
from tests.changes.test_approval import as_user, root
from tests.changes.test_policy import hold, planned
from tests.presenters.estate import RUNS, SNAPSHOT

MINE = Rights(user="alice", admin=False, associations=(Association(account="ml"),), may_nodes=False)
RUN = next(r for r in RUNS if r.user not in (None, "alice"))
HOLD = Hold(source="lab", runs=(RUN.id,))
DRAIN = ChangeNode(source="lab", nodes=("h01",), state="drain", reason="x")


@dataclass
class Asked:
    """A scheduler that tells rights, and how often it was asked."""

    answer: Rights | Unavailable
    name: str = "lab"
    kind: str = "slurm"
    times: int = 0
    users: list[str] = field(default_factory=list)

    def user(self) -> str:
        return "alice"

    def rights(self, user: str | None = None) -> Rights:
        self.times += 1
        if isinstance(self.answer, Unavailable):
            raise self.answer
        return self.answer


def opened(asked: Asked, config: Config | None = None, *, read_only: bool = False) -> Site:
    made = Site(
        options=Options(read_only=read_only),
        config=config or Config(),
        mode="live",
        tell=lambda words: None,
    )
    made.schedulers = {"lab": cast("Scheduler", asked)}
    return made


def test_a_lacking_right_is_told_and_asked_for_once() -> None:
    asked = Asked(MINE)
    site = opened(asked)
    assert permitted.refusal(site, DRAIN, SNAPSHOT, ask=False) is None
    assert asked.times == 0
    told = permitted.refusal(site, HOLD, SNAPSHOT)
    assert told is not None
    assert told.startswith(f"{RUN.id} belongs to {RUN.user}: only {RUN.user}")
    assert "Slurm administrator" in str(permitted.refusal(site, DRAIN, SNAPSHOT, ask=False))
    assert asked.times == 1
    (standing,) = permitted.standings(site, SNAPSHOT)
    assert (standing.manner, standing.rights, standing.policy) == ("slurm", MINE, None)
    assert asked.times == 1


def test_a_source_that_does_not_tell_forbids_nothing() -> None:
    site = opened(Asked(Unavailable("sacctmgr", "no answer")))
    assert permitted.refusal(site, HOLD, SNAPSHOT) is None
    (standing,) = permitted.standings(site, SNAPSHOT)
    assert standing.rights.reason == "sacctmgr: no answer"


def test_read_only_and_the_policy_come_first(tmp_path: Path) -> None:
    admin = Asked(replace(MINE, admin=True, may_nodes=True))
    assert permitted.refusal(opened(admin, read_only=True), HOLD, SNAPSHOT) == permitted.READ_ONLY
    path = tmp_path / "policy.toml"
    path.write_text('[roles.r]\nusers = ["*"]\nmay = ["release"]\n')
    site = opened(admin, Config(changes=Changing(policy=path)))
    assert "that may hold" in str(permitted.refusal(site, HOLD, SNAPSHOT))
    path.write_text('[roles.r]\nusers = ["*"]\nmay = ["release", "hold"]\non = "all"\n')
    assert permitted.refusal(site, HOLD, SNAPSHOT) is None
    assert _policy(site)[0][2][0].found == f"{path}; your roles: r"
    path.chmod(0o666)
    assert _policy(site)[0][2][0].state == "broken"
    assert "until the policy is mended" in str(permitted.refusal(site, HOLD, SNAPSHOT))
    with pytest.raises(ActionError, match="until the policy is mended"):
        permitted.policy_of(site)


@root
def test_a_plan_is_agreed_to_by_another_user_and_anew_when_it_is_changed(tmp_path: Path) -> None:
    for above in (tmp_path, *tmp_path.parents[:2]):
        above.chmod(0o755)
    folder = tmp_path / "approvals"
    folder.mkdir()
    folder.chmod(0o1777)
    path = tmp_path / "policy.toml"
    path.write_text(f'[approval]\nabove_moves = 0\nfolder = "{folder}"\n')
    site = opened(Asked(replace(MINE, admin=True)), Config(changes=Changing(policy=path)))
    move = Move(id="m1", target=Target("run", RUN.id), action="hold", steps=(HOLD,))
    plan = planned((move,))
    judged = permitted.judged(site, plan, plan.moves, SNAPSHOT)
    assert (judged.refusals, judged.approvals) == ((), 1)
    assert permitted.approved(site, plan) == ()

    def agree() -> None:
        now = datetime.now(UTC)
        approval.approve(folder, digest(plan), plan.id, Person.current(), now)

    assert as_user("nobody", agree) == 0
    assert permitted.approved(site, plan) == ("nobody",)
    changed = planned((replace(move, steps=(hold(1),)),))
    assert permitted.approved(site, changed) == ()
