"""The window. Everything that imports Qt lives here; nothing below knows about it."""
