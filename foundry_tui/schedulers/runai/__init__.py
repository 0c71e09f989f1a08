"""Run:ai: the control plane over its REST interface."""
