"""Agents and exporters, asked one by one: where they are, how they answered, what they said."""
