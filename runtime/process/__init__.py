"""Worker and job processes: the language, the parent's handle, how one ended."""
