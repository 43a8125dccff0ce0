"""Worker and job processes: the protocol, the parent's handle, how a process ended."""
