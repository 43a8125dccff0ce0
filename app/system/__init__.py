"""This program as it is installed: packs, updates, licences, reports, what it is to open.

Knows nothing of models. What the machine has is `runtime.machine`.
"""
