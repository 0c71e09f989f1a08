"""Names of images: which are fixed, which can move, which are none."""

from __future__ import annotations

import pytest

from foundry_tui.jobs.preflight.image import Reference, check, parse
from foundry_tui.jobs.preflight.verdict import State

DIGEST = f"sha256:{'0a' * 32}"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("python", Reference("docker.io", "library/python", None, None)),
        ("python:3.12", Reference("docker.io", "library/python", "3.12", None)),
        ("team/img", Reference("docker.io", "team/img", None, None)),
        ("nvcr.io/nvidia/pytorch:25.01", Reference("nvcr.io", "nvidia/pytorch", "25.01", None)),
        ("nvcr.io#nvidia/pytorch:25.01", Reference("nvcr.io", "nvidia/pytorch", "25.01", None)),
        ("docker://localhost/x", Reference("localhost", "x", None, None)),
        ("127.0.0.1:5000/x:1", Reference("127.0.0.1:5000", "x", "1", None)),
        ("[::1]:5000/x:1", Reference("[::1]:5000", "x", "1", None)),
        (f"a.b/c:1@{DIGEST}", Reference("a.b", "c", "1", DIGEST)),
    ],
)
def test_names_are_taken_apart(text: str, found: Reference) -> None:
    assert parse(text) == found


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Python",
        "a//b",
        "a/b:",
        "a:b:c",
        "a/b:tag with blank",
        f"a@{DIGEST[:-1]}",
        "a@sha512:00",
        "-a.b/c",
        "a..b",
        "a/\x1b[2J",
        "a.b:99999999/c",
        "x" * 2000,
        "user:pass@host/img",
    ],
)
def test_what_is_no_name_fails(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse(text)
    ((state, words),) = [(c.state, c.words) for c in check(text)]
    assert state is State.FAIL
    assert words.isprintable()
    assert "is no name of an image" in words


@pytest.mark.parametrize(
    ("text", "state", "words"),
    [
        (f"a.b/c@{DIGEST}", State.OK, "is fixed by its digest"),
        ("a.b/c:1.2", State.WARN, "a tag can be moved"),
        ("a.b/c", State.WARN, "has no tag, which means latest: tomorrow it is another image"),
        ("a.b/c:latest", State.WARN, "is latest: tomorrow it is another image"),
        ("oras://a.b/c", State.SKIPPED, "nothing is known here of oras://"),
    ],
)
def test_a_name_is_judged_by_how_fixed_it_is(text: str, state: State, words: str) -> None:
    (found,) = check(text)
    assert found.state is state
    assert words in found.words


def test_a_file_and_no_image_at_all_are_not_judged_here() -> None:
    assert check(None) == check("/images/x.sqsh") == check("torch.sif") == ()


def test_what_a_registry_told_stands_beside_the_warning() -> None:
    assert [(c.state, c.words) for c in check("a:1", found=DIGEST)][1] == (
        State.OK,
        f"today {DIGEST}",
    )
    assert [(c.state, c.words) for c in check("a:1", why="no answer")][1] == (
        State.SKIPPED,
        "no answer",
    )
