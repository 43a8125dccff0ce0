"""The chat: transcript, composer, conversations, several answers."""
