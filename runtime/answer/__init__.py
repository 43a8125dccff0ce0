"""From a prompt's tokens to an answer: token loops, sampling, drafts, the stream.

Drives any engine through `runtime.backend` and imports none. Templates and reasoning are
`runtime.prompt`.
"""
