"""Telemetry: what the GPUs really do, read beside the schedulers and never from them."""
