"""The commands of the command line, a module for each group; `app.cli.main` joins them.

A command turns a session's values into text. What it does is done in `app.session` and below.
"""
