"""The window: the only part of Stillroom that knows Qt.

Here is the window itself, with its start, menus and notices; pages and what they share are in the
folders. What has no Qt does not belong here: steps are `app.session`, words `app.wording`.
"""
