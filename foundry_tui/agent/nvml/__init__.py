"""The reader of the collector process: the driver's GPUs, and whose the processes on them are."""
