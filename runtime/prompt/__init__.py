"""From a conversation to a prompt, and from a stream to reasoning and answer.

Chat templates come out of model files and are not trusted. Knows tokens only through a tokenizer.
"""
