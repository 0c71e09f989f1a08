"""The NVIDIA driver of the lab: a stand-in for its library in C, and hosts that have it."""
