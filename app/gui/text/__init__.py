"""Text as Qt draws it: documents, formulas as pictures, paper.

What the text means (Markdown, LaTeX, colours of code) is worked out in `app.markup`, without Qt.
"""
