"""Reads the configuration of a proxy and says what it does to a streamed reply."""
