"""The report of queues: quota, use, demand and advice."""
