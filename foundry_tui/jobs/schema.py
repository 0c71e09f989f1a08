"""The JSON Schema of a job spec, made from the tables that read one; editors complete with it.

`spec.schema.json` beside this file is what is shipped; `make docs` writes it.
"""

from __future__ import annotations

import json
from pathlib import Path

from foundry_tui.jobs.reading.fields import KEYS, Field

FILE = Path(__file__).with_name("spec.schema.json")


def schema() -> dict[str, object]:
    """The schema, of the draft of 2020-12. Every spec that can be read is valid under it."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Job spec of foundry",
        "description": "What a run needs, said once for Slurm, Run:ai and KAI. Amounts hold on "
        "each node.",
        "type": "object",
        "properties": {
            key: {**field.kind.schema, "description": _about(field)} for key, field in KEYS.items()
        },
        "additionalProperties": False,
        "oneOf": [{"required": [key]} for key in ("command", "script", "file")],
    }


def _about(field: Field) -> str:
    """What it is, and how its amounts are written where that is not plain."""
    more = field.kind.schema.get("description")
    return field.about if more is None else f"{field.about} {more}"


def schema_text() -> str:
    """The schema as the text of its file."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"
