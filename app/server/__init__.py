"""The local server: OpenAI's HTTP interface to the installed models, on this machine only."""
