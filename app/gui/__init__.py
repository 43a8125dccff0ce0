"""The window. Everything that imports Qt lives here; nothing below knows about it."""

from app.gui.none_guard import keep_none

keep_none()  # before the first of the many calls that may take a reference
