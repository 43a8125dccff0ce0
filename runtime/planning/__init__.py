"""Where a model goes, what memory it takes, how fast it will be, and why a run was slow.

Values in, values out: no engine, no file of the user, no child process. What an engine's memory and
steps cost is in its descriptor.
"""
