"""The reports of GPUs: their health, and what they were there for."""
