"""Records: nouns as the JSON objects of the command line, and the object around them.

The field names and their order are the contract that scripts rely on; what we add comes after
them. Unknown is null. Times stay datetimes in a record: the encoders write them as RFC 3339 with
`Z`.
"""

from foundry_tui.presenters.records.acts import (
    change_record,
    journal_record,
    move_record,
    plan_record,
    preview_record,
    render_record,
    tradeoff_record,
)
from foundry_tui.presenters.records.envelope import envelope
from foundry_tui.presenters.records.fractions import (
    advice_record,
    cost_record,
    fractions_record,
)
from foundry_tui.presenters.records.nouns import (
    Record,
    gpu_record,
    node_record,
    queue_record,
    run_record,
    source_record,
)
from foundry_tui.presenters.records.tracked import sync_record, tracked_record
from foundry_tui.presenters.records.why import why_record

__all__ = [
    "Record",
    "advice_record",
    "change_record",
    "cost_record",
    "envelope",
    "fractions_record",
    "gpu_record",
    "journal_record",
    "move_record",
    "node_record",
    "plan_record",
    "preview_record",
    "queue_record",
    "render_record",
    "run_record",
    "source_record",
    "sync_record",
    "tracked_record",
    "tradeoff_record",
    "why_record",
]
