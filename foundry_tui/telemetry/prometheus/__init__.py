"""A Prometheus or VictoriaMetrics server that has the readings of all nodes."""
