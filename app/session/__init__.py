"""The value pipeline in order, for window, command line, server and other programs.

`session.Session` is the one way in. What a step does is in the folder of the step.
"""
