"""Writes configurations of proxies that a stream passes through, with the why of each line."""
