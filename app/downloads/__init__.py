"""Downloading models: one file, a queue of models, the starter; resumable and verified.

Knows which bytes to ask for, where they are kept meanwhile and when they count. How the hub is
asked is `app.hub`, what an installed model is `app.library`.
"""
