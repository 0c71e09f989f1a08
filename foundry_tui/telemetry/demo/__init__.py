"""Simulated nodes on loopback that answer as agents do."""
