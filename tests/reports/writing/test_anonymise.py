"""Pseudonyms: stable, secret, and nowhere the name itself."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundry_tui.estate.text import safe
from foundry_tui.estate.usage import Account
from foundry_tui.reports.writing import anonymise
from foundry_tui.reports.writing.anonymise import Pseudonyms, SaltError
from tests.reports.parts import try_of

SALT = b"0123456789abcdef"


def test_a_pseudonym_is_a_keyed_hash_of_kind_and_name() -> None:
    names = Pseudonyms(SALT)
    secret = hmac.new(SALT, b"user\0alice", hashlib.sha256).hexdigest()
    assert names.user("alice") == f"user-{secret[:10]}"
    assert re.fullmatch(r"account-[0-9a-f]{10}", names.account("alice"))
    assert names.account("alice")[8:] != names.user("alice")[5:]


@given(st.text(), st.text())
def test_the_same_salt_gives_the_same_pseudonyms_and_others_differ(one: str, other: str) -> None:
    names = Pseudonyms(SALT)
    assert names.user(one) == Pseudonyms(SALT).user(one)
    assert names.user(one) != Pseudonyms(SALT + b"x").user(one)
    assert (names.user(one) == names.user(other)) == (one == other)


def test_a_try_names_nobody_and_stays_the_same_otherwise() -> None:
    record = try_of(
        reservation="alice_weekend",
        work_dir="/home/alice",
        submit_token="alice-1",
        doubt=safe("alice's node is down"),
    )
    shown = Pseudonyms(SALT).record(record)
    text = repr(shown)
    for name in ("alice", "nlp", "train"):
        assert name not in text, name
    assert (shown.raw_id, shown.queue, shown.gpu_count) == ("17", "prod", 2)
    assert (shown.started_at, shown.state) == (record.started_at, record.state)
    assert shown.user == Pseudonyms(SALT).user("alice")


def test_what_is_not_told_is_not_told_by_pseudonym_either() -> None:
    shown = Pseudonyms(SALT).record(try_of(user=None, account=None, queue=None))
    assert (shown.user, shown.account, shown.queue, shown.reservation) == (None,) * 4


def test_a_project_that_is_charged_is_the_account() -> None:
    names = Pseudonyms(SALT)
    shown = names.record(try_of(account="vision", queue="vision"))
    assert shown.queue == names.account("vision")


def test_a_queue_or_qos_named_after_somebody_is_a_pseudonym_too() -> None:
    names = Pseudonyms(SALT)
    shown = names.record(try_of(account="nlp", queue="alice", qos="nlp"))
    assert (shown.queue, shown.qos) == (names.user("alice"), names.account("nlp"))


def test_accounts_and_the_ones_above_them_have_the_pseudonyms_of_the_tries() -> None:
    names = Pseudonyms(SALT)
    found = names.accounts({("lab", "nlp"): Account(name="nlp", parent="root", quota_gpu_milli=4)})
    nlp, root = names.account("nlp"), names.account("root")
    assert found == {("lab", nlp): Account(name=nlp, parent=root, quota_gpu_milli=4)}
    top = names.accounts({("lab", "root"): Account(name="root")})
    assert top[("lab", root)].parent is None


def test_names_that_were_met_are_found_in_words() -> None:
    names = Pseudonyms(SALT)
    names.record(try_of(user="a.smith", account="nlp"))
    smith, nlp = names.user("a.smith"), names.account("nlp")
    text = "nlp: jobs of (a.smith) and nlp/a.smith; see a.smith. nlpx and xa.smith stay"
    assert names.text(text) == (
        f"{nlp}: jobs of ({smith}) and {nlp}/{smith}; see {smith}. nlpx and xa.smith stay"
    )


def test_names_of_unusual_letters_hosts_and_paths_are_found_in_words_too() -> None:
    names = Pseudonyms(SALT)
    names.record(try_of(user="LAB\\carl", account="bio+chem", queue=""))
    names.record(try_of(user="alice", account="bio"))
    text = names.text(
        "bio+chem: 77 s of LAB\\carl; alice@login1 has gres/gpu n/a, see /home/dora/.foundry: no"
    )
    chem, carl, alice = names.account("bio+chem"), names.user("LAB\\carl"), names.user("alice")
    assert text == f"{chem}: 77 s of {carl}; {alice}@login1 has gres/gpu n/a, see withheld: no"


def test_the_name_of_a_job_is_found_where_it_begins_a_note() -> None:
    names = Pseudonyms(SALT)
    shown = names.record(try_of(name=safe("it"))).name
    assert names.text("it: it was stopped") == f"{shown}: it was stopped"
    assert names.text("other: it was stopped") == "other: it was stopped"


def test_a_command_keeps_only_words_that_can_name_nobody() -> None:
    names = Pseudonyms(SALT)
    alice, bob, nlp = names.user("alice"), names.user("bob"), names.account("nlp")
    words = (
        "foundry",
        "report",
        "usage-by-user",
        "--from",
        "2026-03-01",
        "--to=2026-04-01T00:00:00Z",
        "--by",
        "week",
        "--user",
        "alice,bob",
        "--account=nlp",
        "--queue",
        "day",
        "-o",
        "/home/alice/out",
        "--prices=/home/alice/prices.csv",
        "--anonymise",
        "alice",
        "--mode",
        "0640",
    )
    assert names.command(words) == [
        "foundry",
        "report",
        "usage-by-user",
        "--from",
        "2026-03-01",
        "--to=2026-04-01T00:00:00Z",
        "--by",
        "week",
        "--user",
        f"{alice},{bob}",
        f"--account={nlp}",
        "--queue",
        names.account("day"),
        "-o",
        "withheld",
        "--prices=withheld",
        "--anonymise",
        "withheld",
        "--mode",
        "0640",
    ]


def test_a_salt_of_no_length_is_refused() -> None:
    with pytest.raises(ValueError, match="16 bytes at least, not 15"):
        Pseudonyms(b"x" * 15)


def test_a_secret_is_made_once_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "state" / "salt"
    first = anonymise.salt(path)
    assert len(first) == 64
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert anonymise.salt(path) == first
    assert [p.name for p in path.parent.iterdir()] == ["salt"]
    assert anonymise.salt(tmp_path / "other") != first


def test_two_that_make_a_secret_at_a_time_use_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "salt"
    link = os.link

    def late(whole: Path, final: Path) -> None:
        path.write_bytes(SALT)
        path.chmod(0o600)
        link(whole, final)

    monkeypatch.setattr(os, "link", late)
    assert anonymise.salt(path) == SALT
    assert [p.name for p in tmp_path.iterdir()] == ["salt"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602])
def test_a_secret_that_others_may_read_or_write_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "salt"
    path.write_bytes(SALT)
    path.chmod(mode)
    with pytest.raises(SaltError, match=rf"salt: .*mode is {mode:04o}.*mode 0600 .reports.salt"):
        anonymise.salt(path)


def test_a_short_secret_is_refused_and_not_told(tmp_path: Path) -> None:
    path = tmp_path / "salt"
    path.write_bytes(b"hunter2 \n")
    path.chmod(0o600)
    with pytest.raises(SaltError, match="has 7 bytes and needs 16") as caught:
        anonymise.salt(path)
    assert "hunter2" not in str(caught.value)


def test_a_secret_may_be_mounted_and_its_target_counts(tmp_path: Path) -> None:
    target, path = tmp_path / "mounted", tmp_path / "salt"
    target.write_bytes(SALT)
    path.symlink_to(target)
    target.chmod(0o600)
    assert anonymise.salt(path) == SALT
    target.chmod(0o644)
    with pytest.raises(SaltError, match="mode is 0644"):
        anonymise.salt(path)


def test_a_secret_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")
    with pytest.raises(SaltError, match=r"state/salt: .*cannot be used"):
        anonymise.salt(tmp_path / "state" / "salt")
