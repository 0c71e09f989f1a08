"""The agent runs on the Python of a compute node, which may be 3.9."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

AGENT = Path(__file__).parents[2] / "foundry_tui" / "agent"
MODULES = sorted(AGENT.rglob("*.py"))
TOO_NEW = {
    "StrEnum": "enum, 3.11",
    "UTC": "datetime, 3.11",
    "Self": "typing, 3.11",
    "assert_never": "typing, 3.11",
    "override": "typing, 3.12",
    "TypeAlias": "typing, 3.10",
    "ParamSpec": "typing, 3.10",
    "pairwise": "itertools, 3.10",
    "batched": "itertools, 3.12",
    "tomllib": "3.11",
    "TaskGroup": "asyncio, 3.11",
    "timeout": "asyncio, 3.11",
}
"""Names of the standard library that are newer, where they are imported or taken from a module."""
NEW_ARGUMENTS = {"slots", "kw_only", "strict"}
"""Arguments of `dataclass` and `zip` that 3.9 does not know."""
BEYOND = {"pynvml", "prometheus_client"}


def complaints(source: str) -> list[str]:
    """What in a module 3.9 would not take, or the agent may not import."""
    tree = ast.parse(source, feature_version=(3, 9))
    found = []
    if "from __future__ import annotations" not in source and "|" in source:
        found.append("annotations are evaluated")
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.ImportFrom):
            names = [(node.module or "").partition(".")[0]]
            found += [a.name for a in node.names if a.name in TOO_NEW]
        elif isinstance(node, ast.Import):
            names = [a.name.partition(".")[0] for a in node.names]
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            modules = ("asyncio", "datetime", "enum", "itertools", "typing")
            if node.attr in TOO_NEW and node.value.id in modules:
                found.append(node.attr)
        elif isinstance(node, ast.Call):
            called = node.func.id if isinstance(node.func, ast.Name) else ""
            if called in ("dataclass", "zip"):
                found += [k.arg for k in node.keywords if k.arg in NEW_ARGUMENTS]
        allowed = {*sys.stdlib_module_names, "foundry_tui", *BEYOND, ""}
        found += [name for name in names if name not in allowed or name in TOO_NEW]
    return found


@pytest.mark.parametrize("module", MODULES, ids=[m.stem for m in MODULES])
def test_a_module_of_the_agent_is_python_3_9_and_needs_nothing_more(module: Path) -> None:
    assert not complaints(module.read_text())


@pytest.mark.parametrize(
    "source",
    [
        "from datetime import UTC",
        "import tomllib",
        "import enum\nclass A(enum.StrEnum): ...",
        "@dataclass(slots=True)\nclass A: ...",
        "for a in zip(b, c, strict=True): ...",
        "import msgspec",
        "def f(a: int | None): ...",
    ],
)
def test_what_is_newer_is_seen(source: str) -> None:
    assert complaints(source)


def test_newer_grammar_is_seen() -> None:
    with pytest.raises(SyntaxError):
        complaints("match a:\n    case 1: ...\n")
