"""What is looked at before a run is sent: nothing here changes anything, and every read is bounded.

Each module judges one thing and gives a tuple of `Check`s. What cannot be known is `skipped` with
the reason: an unknown never stops a submit, and never passes for good.
"""
