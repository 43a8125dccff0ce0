"""From a prompt's tokens to an answer: the token loops, sampling, drafts, the stream."""
