"""Which reading counts, and which GPU and run it belongs to. Pure."""
