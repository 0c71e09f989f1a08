"""Why a run waits: one dominant reason, the evidence, and the smallest change that starts it.

Pure: nouns in, nouns out. The caller reads the run's details and the user's rights, asks the
scheduler's own what-if for each candidate (`diagnosis.diagnose` names them) and lets
`choose.choose` pick one.
"""
