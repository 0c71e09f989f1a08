"""The policy file: who may change what, how much one plan may touch, and when others must agree.

It guards against mistakes. It cannot guard against a user who types the scheduler's own commands:
what he may do there, the scheduler decides. Read as the configuration is (`config.tables`), and
only when nobody but its owner could have written it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from foundry_tui.config.errors import ConfigError
from foundry_tui.config.load import MAX_BYTES, parse
from foundry_tui.config.owned import OTHERS_WRITE, open_own
from foundry_tui.config.sources import about
from foundry_tui.config.tables import Tables
from foundry_tui.config.template import render
from foundry_tui.estate.actrecords import KINDS

USUAL = Path("/etc/foundry/policy.toml")
"""Where a site's policy stands when the configuration names no other file."""

FOLDER = Path("/var/lib/foundry/approvals")
"""Where approvals are kept when the policy names no other folder."""

ACTS = tuple(KINDS)
"""Words of the acts that a policy can name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """Who may do which acts. A user has every role that names him or one of his unix groups."""

    name: str
    users: tuple[str, ...] = field(
        default=(),
        metadata=about('Unix users that have this role; "*" is everybody.', example=("ann", "bob")),
    )
    groups: tuple[str, ...] = field(
        default=(), metadata=about("Unix groups that have this role.", example=("gpu-admins",))
    )
    may: tuple[str, ...] = field(
        default=(),
        metadata=about(
            f'Acts that the role may do, or "all": {", ".join(ACTS)}.',
            example=("hold", "release", "change_run"),
            words=ACTS,
        ),
    )
    on: str = field(
        default="own",
        metadata=about(
            "On whose runs: own, account (whoever is charged to an account of the user's), or all. "
            "Nodes and queues are nobody's own: they need all.",
            choices=("own", "account", "all"),
        ),
    )
    sources: tuple[str, ...] = field(
        default=(),
        metadata=about("Sources for which the role holds; without it every one.", example=("lab",)),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much one plan may touch. What is not set has no limit."""

    most_moves: float | None = field(
        default=50.0, metadata=about("Moves that are carried out together.", least=1.0)
    )
    most_runs: float | None = field(
        default=None,
        metadata=about("Runs touched, each task of an array for itself.", example=500),
    )
    most_nodes_drained: float | None = field(
        default=None, metadata=about("Nodes drained or moved to another pool.", example=8)
    )
    most_nodes_drained_pct: float | None = field(
        default=25.0,
        metadata=about(
            "Per cent of a partition's or node pool's nodes drained or moved; one node is always "
            "allowed.",
            most=100.0,
        ),
    )
    most_gpus: float | None = field(
        default=None,
        metadata=about(
            "GPUs that the touched runs hold or ask for, and those of touched nodes.", example=128
        ),
    )
    most_quota_change_gpus: float | None = field(
        default=None,
        metadata=about("GPUs by which one queue's quota or limit changes.", example=16),
    )
    most_quota_change_pct: float | None = field(
        default=None,
        metadata=about("Per cent by which one queue's quota or limit changes.", example=50),
    )
    whole_source: bool = field(
        default=False,
        metadata=about(
            "Let one plan touch every node of a source, or every live run of one with more than 10."
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """When others must have agreed to a plan, and who may agree."""

    above_moves: float | None = field(
        default=None, metadata=about("Needed for plans with more moves.", example=10)
    )
    above_gpus: float | None = field(
        default=None, metadata=about("Needed for plans that touch more GPUs.", example=32)
    )
    above_nodes: float | None = field(
        default=None,
        metadata=about("Needed for plans that drain or move more nodes; 0: any.", example=0),
    )
    acts: tuple[str, ...] = field(
        default=(),
        metadata=about(
            "Needed for plans with one of these acts.",
            example=("change_queue", "move_node"),
            words=ACTS,
        ),
    )
    approvals: float = field(
        default=1.0, metadata=about("So many others must agree.", least=1.0, most=10.0)
    )
    roles: tuple[str, ...] = field(
        default=(),
        metadata=about(
            "Roles whose users may agree; without it everybody but the one who applies.",
            example=("approvers",),
        ),
    )
    folder: Path = field(
        default=FOLDER,
        metadata=about(
            "Folder of the approvals: of root, mode 3775 (sticky) and of the approvers' group.",
            example=str(FOLDER),
        ),
    )
    days: float = field(
        default=7.0, metadata=about("Days after which an approval is void.", most=365.0)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What a site allows. The defaults hold where there is no file.

    Without roles everybody may do what the scheduler allows; with roles, whoever has none may
    change nothing.
    """

    lock: Path | None = field(
        default=None,
        metadata=about(
            "File that is locked while a plan is applied, so that one is at a time on this host; "
            "everybody who applies needs to be able to write it.",
            example="/run/lock/foundry-apply",
        ),
    )
    roles: tuple[Role, ...] = field(
        default=(),
        metadata=about("A role; one table each.", named="operators"),
    )
    limits: Limits = field(default_factory=Limits, metadata=about("How much one plan may touch."))
    approval: Approval = field(
        default_factory=Approval,
        metadata=about("When others must have agreed to a plan (`foundry approve`)."),
    )


_HEAD = (
    "Policy of Foundry: who may change what, how much at once, and when others must agree. It "
    "guards against mistakes, not against a user who types the scheduler's own commands. Nothing "
    "here is needed: without the file everybody may do what the scheduler allows, within the "
    "limits below that have a default. Belongs to root, mode 0644."
)


def template() -> str:
    """The text of a policy file in which every option is explained and commented out."""
    return render(Policy, _HEAD)


def place(configured: Path | None) -> Path | None:
    """The policy file of this host: the configured one, else the usual one where it exists."""
    return configured or (USUAL if os.path.lexists(USUAL) else None)


def load(path: Path) -> Policy:
    """The policy of a file.

    Raises:
        ConfigError: it is missing, others could have written it, or something in it cannot be
            used. Until that is mended nothing may be changed.
    """
    expected = f"a file of root or of yours that only its owner may write: chown root {path}; "
    expected += f"chmod 644 {path}"
    try:
        with os.fdopen(
            open_own(path, OTHERS_WRITE, follow=True, owners={0, os.geteuid()}), "rb"
        ) as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        missing = "the policy file that [changes] policy names, or no such setting"
        raise ConfigError(path, "", "no file", missing) from None
    except OSError as error:
        raise ConfigError(path, "", str(error.strerror or error), expected) from None
    if len(data) > MAX_BYTES:
        raise ConfigError(path, "", f"more than {MAX_BYTES} bytes", "a policy file")
    tables = Tables(path, Path("/"), [], Policy)
    policy = cast("Policy", tables.whole(parse(path, data)))
    names = {role.name for role in policy.roles}
    for role in policy.approval.roles:
        if role not in names:
            there = f"one of {', '.join(sorted(names))}" if names else "a table [roles.NAME] for it"
            raise ConfigError(path, "approval.roles", f'no role "{role}"', there)
    return policy
