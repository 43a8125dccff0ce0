"""Dialogs and overlays that belong to no page."""
