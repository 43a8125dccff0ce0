"""Downloading models: one file, a queue of models, the starter; resumable and verified."""
