"""Where waiting runs should go: a snapshot in, a plan out. Nothing is asked or changed here."""
