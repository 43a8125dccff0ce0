"""Translations of the window, in Qt's formats; `extract` keeps them in step with the texts.

Chinese is written into `stillroom_zh_CN.ts`; terms are in docs/glossary.md. English is in the code.
"""
