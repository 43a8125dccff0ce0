"""From a conversation to a prompt, and from a stream to reasoning and answer."""
