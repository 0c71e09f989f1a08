"""Params and seed as variables of the environment."""

from __future__ import annotations

import json

from foundry_tui.jobs.spec import JobSpec
from foundry_tui.jobs.variables import variable, variables


def test_params_and_seed_reach_the_program() -> None:
    spec = JobSpec(name="a", params=(("lr", "3e-4"), ("data.set-1", "c4")), seed=7)
    found = dict(variables(spec))
    assert json.loads(found.pop("FOUNDRY_PARAMS")) == {"lr": "3e-4", "data.set-1": "c4"}
    assert found == {
        "FOUNDRY_PARAM_LR": "3e-4",
        "FOUNDRY_PARAM_DATA_SET_1": "c4",
        "FOUNDRY_SEED": "7",
        "PYTHONHASHSEED": "7",
    }
    assert variable("data.set-1") == "FOUNDRY_PARAM_DATA_SET_1"


def test_nothing_is_made_of_nothing_and_the_spec_goes_first() -> None:
    assert variables(JobSpec(name="a")) == ()
    own = JobSpec(name="a", seed=7, environment=(("PYTHONHASHSEED", "0"),))
    assert variables(own) == (("FOUNDRY_SEED", "7"),)
