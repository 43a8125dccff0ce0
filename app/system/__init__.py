"""This program as it is installed: packs, updates, licences, display, what it is asked to open."""
