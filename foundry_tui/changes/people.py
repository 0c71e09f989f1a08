"""Who somebody is on this host, told by the system and not by himself."""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A unix user with the names of all groups; the uid as name where the system has none."""

    uid: int
    user: str
    groups: tuple[str, ...] = ()

    @classmethod
    def of(cls, uid: int) -> Person:
        """The user with this uid, as the system's own lists of users and groups have it."""
        try:
            entry = pwd.getpwuid(uid)
        except KeyError:
            return cls(uid=uid, user=str(uid))
        names = []
        for gid in os.getgrouplist(entry.pw_name, entry.pw_gid):
            with contextlib.suppress(KeyError):
                names.append(grp.getgrgid(gid).gr_name)
        return cls(uid=uid, user=entry.pw_name, groups=tuple(names))

    @classmethod
    def current(cls) -> Person:
        """The user of this process; under sudo that is root."""
        return cls.of(os.getuid())
