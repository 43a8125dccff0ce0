"""Parts that every page uses: controls, theme, words, the bridge to worker threads."""
