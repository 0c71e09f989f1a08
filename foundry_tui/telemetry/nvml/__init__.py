"""The GPUs of this host, read by a child process."""
