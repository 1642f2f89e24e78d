"""Bytes in, events out.

Rule: pure. No I/O, no clock, no randomness, no logging; the standard library's pure parts and ``msgspec``.
"""
