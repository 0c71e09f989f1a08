"""How much any scheduler could place at most, proven: a linear program over fillings of one GPU."""
