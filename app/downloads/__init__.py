"""Bringing models here: one file, a queue of models, the starter; resumable and verified."""
