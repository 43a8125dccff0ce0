"""The local server: OpenAI's HTTP interface to the installed models, on this machine only.

Guards before a request, turns between clients, a pool of workers, replies. Functions and grammars
are `app.tools`, which knows no HTTP; the client's side of the same interface is `app.remote`.
"""
