"""Translations of the window, in Qt's formats; `extract` keeps them in step with the texts."""
