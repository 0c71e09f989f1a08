"""Reports: accounting becomes CSV files that add up and say where every number comes from."""
