"""The model hub: search, details, headers read by ranges, addresses, tokens.

Knows which error a status is. Installs nothing and keeps no model: that is `app.downloads` and
`app.library`. Servers that answer chats are `app.remote`.
"""
