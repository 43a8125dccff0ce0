"""Worker and job processes: the protocol, jobs and their values, how a process ended.

`client.Worker` is the parent's handle. What a job does is in `runtime.tasks`. docs/protocol.md is
the page for outsiders.
"""
