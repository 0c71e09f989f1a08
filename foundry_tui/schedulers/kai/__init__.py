"""A Kubernetes cluster whose GPUs KAI-Scheduler gives away, or Run:ai seen from inside one."""
