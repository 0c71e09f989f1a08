"""Tracked runs: finding them at any scale, comparing them, and writing about them."""
