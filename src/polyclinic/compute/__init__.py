"""The machine's resources: processor cores, memory, devices, worker processes, and what is spent of them."""
