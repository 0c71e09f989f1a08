"""Presenters: nouns become text, records and rows. Pure: no input, no output, no clock."""
