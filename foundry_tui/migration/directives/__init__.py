"""The directives of a batch script: one table, and a rule for each row of it."""
