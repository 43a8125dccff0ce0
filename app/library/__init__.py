"""The models on this machine, the catalog of known ones, and what the word MODEL means.

Knows files and manifests; does not know where models come from (`app.downloads`) or where they
would run (`app.planning`).
"""
