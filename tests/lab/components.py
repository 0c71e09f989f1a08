"""Real components (a Slurm, an MLflow server ...) that a test needs and a machine may lack.

A missing one skips the test with its reason. Where `FOUNDRY_REQUIRE` names it (comma list), as in
CI, the test fails instead: a skip there would hide that nothing was tested.
"""

import os

import pytest

VARIABLE = "FOUNDRY_REQUIRE"
COMPONENTS = frozenset(
    {
        "slurm",
        "nvml-stub",
        "mlflow",
        "tmux",
        "kubernetes",
        "kai",
        "reportseff",
        "runapy",
        "prometheus",
        "victoria-metrics",
    }
)


def required() -> frozenset[str]:
    """The components that `FOUNDRY_REQUIRE` names. Raises `pytest.UsageError` on an unknown one."""
    named = {name.strip() for name in os.environ.get(VARIABLE, "").split(",")} - {""}
    if unknown := named - COMPONENTS:
        raise pytest.UsageError(
            f"{VARIABLE} names {', '.join(sorted(unknown))}; known: {', '.join(sorted(COMPONENTS))}"
        )
    return frozenset(named)


def require(component: str, missing: str | None) -> None:
    """Skip the test when `missing` says why there is no `component`; fail it where required."""
    if missing is None:
        return
    if component in required():
        pytest.fail(f"{VARIABLE} names {component}, but: {missing}", pytrace=False)
    pytest.skip(f"{component}: {missing}")
