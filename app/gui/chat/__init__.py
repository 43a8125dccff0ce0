"""The chat page: transcript, composer, conversations, several answers.

`control` is what a conversation can be asked to do; the rest is views. How text is drawn is
`app.gui.text`; what is stored is `app.history`.
"""
