"""From a page of Prometheus text to readings: parse, names and units, one GPU, all of them."""
