"""Portable job specs: one file that says what a run needs, in the words of no scheduler."""
