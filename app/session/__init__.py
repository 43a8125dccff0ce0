"""The value pipeline in order, for the window, the command line, the server and other programs."""
