"""Models that other machines run: any OpenAI-compatible server, under a name of its own.

Keeps no model and plans nothing. The server that Stillroom itself offers is `app.server`.
"""
