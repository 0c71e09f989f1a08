"""The report jobs: one row per try, sorted on disk."""
