"""Dialogs and overlays that belong to no page: settings, help, about, tour, remote models.

The settings dialog is made from `app.settings`; a new setting needs nothing here.
"""
