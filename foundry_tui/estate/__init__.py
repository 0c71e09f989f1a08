"""The nouns of the estate. Frozen data and pure functions: no input, no output, no clock."""
