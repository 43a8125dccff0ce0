"""From a prompt's tokens to an answer: the token loops, drawing, drafts, the stream."""
