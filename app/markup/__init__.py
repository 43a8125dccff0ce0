"""Markdown, formulas and code as answers write them, before anything draws them.

Knows no Qt: `app.gui.text` draws, `app.history.export` writes pages.
"""
