"""The model hub: search, details, headers read by ranges, addresses, tokens. Installs nothing."""
