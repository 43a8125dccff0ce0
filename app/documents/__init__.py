"""Files that people attach to a message, as text.

Knows formats (a new one goes into `attachments`) and limits; no Qt and no model. Markdown that a
model writes is `app.markup`; exported conversations are `app.history`.
"""
