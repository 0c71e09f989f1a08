"""Params and seed of a spec as environment variables, for a program in any language. Pure."""

from __future__ import annotations

import json
import re

from foundry_tui.jobs.spec import JobSpec

PARAM = "FOUNDRY_PARAM_"
PARAMS = "FOUNDRY_PARAMS"
SEED = "FOUNDRY_SEED"
HASH_SEED = "PYTHONHASHSEED"
"""Python takes the seed of its hashes from this before the program runs a line."""

_OTHER = re.compile(r"[^A-Z0-9]")


def variables(spec: JobSpec) -> tuple[tuple[str, str], ...]:
    """One variable per param, all params as one JSON object, and the seed.

    A variable that `environment` of the spec names itself is left to it.
    """
    made = [(variable(name), value) for name, value in spec.params]
    if spec.params:
        made.append((PARAMS, json.dumps(dict(spec.params), sort_keys=True)))
    if spec.seed is not None:
        made += [(SEED, str(spec.seed)), (HASH_SEED, str(spec.seed))]
    named = dict(spec.environment)
    return tuple((name, value) for name, value in made if name not in named)


def variable(param: str) -> str:
    """The variable of a param: `FOUNDRY_PARAM_LEARNING_RATE` for `learning-rate`."""
    return PARAM + _OTHER.sub("_", param.upper())
