"""Safe change: preview, journal, perform, read back, undo."""
