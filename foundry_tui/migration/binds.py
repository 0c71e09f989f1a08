"""Folders that a container of the job bound: mounted as the tables say."""

from __future__ import annotations

from foundry_tui.migration.draft import Draft
from foundry_tui.migration.nouns import Class


def bound(draft: Draft, value: str) -> tuple[Class, str, str]:
    """What becomes of `SOURCE[:TARGET[:FLAGS]],…`: the class, what it became, and why."""
    seen = []
    for part in value.strip("\"'").split(","):
        source, _, rest = part.partition(":")
        target = rest.partition(":")[0] or source
        mount = draft.tables.mount_of(source)
        if mount is None:
            why = f"nothing is mounted at {source}: add it to [paths] of the tables"
            return Class.MANUAL, "no mount", why
        if target != source:
            why = (
                f"the program sees {source} at {target}; what is mounted is seen at {mount.target}"
            )
            return Class.MANUAL, "no mount", why
        draft.mounts[mount.target] = mount
        seen.append(mount.target)
    became = f"mounts: {', '.join(dict.fromkeys(seen))}"
    return Class.TABLE, became, "what the tables mount there"
