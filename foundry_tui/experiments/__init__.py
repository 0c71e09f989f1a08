"""Tracked runs side by side: what differs, what is best, what it cost. Pure."""
