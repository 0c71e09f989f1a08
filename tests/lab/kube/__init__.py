"""A real Kubernetes with KAI-Scheduler on loopback, and a fake kubelet for its nodes."""
