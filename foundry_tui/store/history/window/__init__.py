"""A whole window of the history at once, in columns: what reports read."""
