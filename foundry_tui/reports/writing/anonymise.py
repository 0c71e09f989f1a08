"""Pseudonyms: a report that may be passed on names nobody, and still tells people apart.

A pseudonym is a keyed hash (HMAC-SHA256), stable as long as the salt is, so that the reports of two
months can be laid side by side. Without the salt nobody can try names out. What stays: ids of jobs,
partitions, times and sizes, by which an insider may still know a job.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from foundry_tui.config.owned import OTHERS_ANY, open_own
from foundry_tui.estate.text import SafeText
from foundry_tui.estate.usage import Account, UsageRecord
from foundry_tui.reports.part import Part

LEAST_SALT_BYTES = 16
_MOST_SALT_BYTES = 4096
_DIGITS = 10

WITHHELD = "withheld"
"""Stands for words that could name somebody."""

_OPTIONS = {"--user": "user", "--account": "account", "--queue": "account"}
_HARMLESS = re.compile(
    r"foundry|report|usage-by-account|usage-by-user|jobs|gpu-health|capacity|queue-balance"
    r"|hour|day|week|month|0?[0-7]{3}|--[a-z]+(-[a-z]+)*|-[a-z]"
    r"|[0-9]{4}-[0-9]{2}(-[0-9]{2}(T[0-9:]+(Z|[+-][0-9:]+)?)?)?|[0-9]+[smhdw]?"
)
_WORD = re.compile(r"[\w.@-]+")
_PATH = re.compile(r"(?<![\w.~])(~\w*)?/[^\s:,;'\"]+")


class SaltError(OSError):
    """The secret of the pseudonyms cannot be used: which file, why, and what to do."""


def salt(path: Path) -> bytes:
    """The secret in this file, which is made for its owner only if it is missing.

    Raises:
        SaltError: it cannot be read or made, others may read or write it, or it is too short.
    """
    try:
        if not path.exists():
            _make(path)
        # a secret that is mounted into a container is a symbolic link
        with os.fdopen(open_own(path, OTHERS_ANY, follow=True), "rb") as file:
            found = file.read(_MOST_SALT_BYTES).strip()
    except OSError as error:
        raise SaltError(
            f"{path}: the secret of the pseudonyms cannot be used: {error.strerror}; it must be a "
            "file of yours with mode 0600 (reports.salt)"
        ) from error
    if len(found) < LEAST_SALT_BYTES:
        raise SaltError(
            f"{path}: the secret of the pseudonyms has {len(found)} bytes and needs "
            f"{LEAST_SALT_BYTES} at least; remove the file and a new one is made (reports.salt)"
        )
    return found


def _make(path: Path) -> None:
    """A new secret; the first of two that make one at a time wins, and nobody reads half of it."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    whole = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    fd = os.open(whole, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(secrets.token_hex(32).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        os.link(whole, path)
    except FileExistsError:
        return
    finally:
        whole.unlink()


class Pseudonyms:
    """Names in, pseudonyms out: `user-1a2b3c4d5e`, the same ones for the same salt.

    It remembers the names that it met, so that `text` can find them in words of others.
    """

    def __init__(self, salt: bytes) -> None:
        if len(salt) < LEAST_SALT_BYTES:
            raise ValueError(f"salt: {LEAST_SALT_BYTES} bytes at least, not {len(salt)}")
        self._salt = salt
        self._met: dict[tuple[str, str], SafeText] = {}
        self._by_name: dict[str, SafeText] = {}
        self._odd: list[str] = []

    def user(self, name: str) -> SafeText:
        """The pseudonym of a user."""
        return self._of("user", name)

    def account(self, name: str) -> SafeText:
        """The pseudonym of an account, or of the project that is charged in its place."""
        return self._of("account", name)

    def record(self, record: UsageRecord) -> UsageRecord:
        """A try without the names of people, accounts, reservations and of the job itself.

        Queue and QOS stay, unless they bear the name of who is charged or of the user.
        """
        return replace(
            record,
            name=self._of("job", record.name),
            user=None if record.user is None else self.user(record.user),
            account=None if record.account is None else self.account(record.account),
            queue=self._unless_named(record.queue, record),
            qos=self._unless_named(record.qos, record),
            reservation=(
                None if record.reservation is None else self._of("reservation", record.reservation)
            ),
            work_dir=None,
            submit_token=None,
            doubt=None if record.doubt is None else SafeText(self.text(record.doubt)),
        )

    def meet(self, records: Iterable[UsageRecord]) -> None:
        """Learn the names of tries that are not shown themselves but may be named in words."""
        for record in records:
            self.record(record)

    def part(self, part: Part) -> Part:
        """A part of which the tries name nobody."""
        return replace(part, records=[self.record(record) for record in part.records])

    def accounts(
        self, accounts: Mapping[tuple[str, str], Account]
    ) -> dict[tuple[str, str], Account]:
        """Accounts by source and name, all by pseudonym."""
        return {
            (source, self.account(name)): replace(
                account,
                name=self.account(account.name),
                parent=None if account.parent is None else self.account(account.parent),
            )
            for (source, name), account in accounts.items()
        }

    def text(self, words: str) -> str:
        """A text in which every name that was met stands by its pseudonym, and no path stands.

        Names of jobs may be any word, so that only one that begins the text (`NAME: …`) is found.
        """
        name, colon, rest = words.partition(": ")
        job = self._met.get(("job", name))
        if job is not None:
            words = f"{job}{colon}{rest}"
        words = _PATH.sub(WITHHELD, words)
        for odd in sorted(self._odd, key=len, reverse=True):
            words = words.replace(odd, self._by_name[odd])
        return _WORD.sub(lambda found: self._named(found[0]), words)

    def command(self, words: Sequence[str]) -> list[str]:
        """The words of a command: users and accounts by pseudonym, paths and the rest withheld.

        Only words that can name nobody stay: options, names of reports, times and numbers.
        """
        told: list[str] = []
        kind: str | None = None
        for word in words:
            option, equals, value = word.partition("=")
            if equals and option in _OPTIONS:
                told.append(f"{option}={self._list(_OPTIONS[option], value)}")
            elif equals and option.startswith("--"):
                told.append(f"{option}={value if _HARMLESS.fullmatch(value) else WITHHELD}")
            elif kind is not None:
                told.append(self._list(kind, word))
            else:
                told.append(word if _HARMLESS.fullmatch(word) else WITHHELD)
            kind = None if equals or kind is not None else _OPTIONS.get(word)
        return told

    def _unless_named(self, word: str | None, record: UsageRecord) -> str | None:
        """A word, or the pseudonym of the account or the user of a try if that is its name."""
        if word is not None and word == record.account:
            return self.account(word)
        return self.user(word) if word is not None and word == record.user else word

    def _list(self, kind: str, names: str) -> str:
        return ",".join(self._of(kind, name) for name in names.split(","))

    def _named(self, word: str) -> str:
        """The pseudonym of a word that was met as a name, also at a sentence's end or `@host`."""
        whole = self._by_name.get(word)
        if whole is not None:
            return whole
        for bare in (word.rstrip(".-"), word.partition("@")[0]):
            shown = self._by_name.get(bare)
            if shown is not None:
                return shown + word[len(bare) :]
        return word

    def _of(self, kind: str, name: str) -> SafeText:
        key = (kind, name)
        shown = self._met.get(key)
        if shown is None:
            secret = hmac.new(
                self._salt, f"{kind}\0{name}".encode(errors="surrogatepass"), hashlib.sha256
            )
            shown = self._met[key] = SafeText(f"{kind}-{secret.hexdigest()[:_DIGITS]}")
            if kind != "job" and name:
                self._by_name.setdefault(name, shown)
                if not _WORD.fullmatch(name):
                    self._odd.append(name)
        return shown
