"""The command line: what can be asked, and how an answer or a failure is told.

`main` parses, opens a session and runs one command of `app.cli.commands`. Knows no engine and no
Qt.
"""
