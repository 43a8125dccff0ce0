"""Parts that every page uses: controls, theme, icons, words, the bridge to worker threads.

Knows no page, no conversation and no model.
"""
