"""Timed recordings: what arrived, when, and how it ended; without secrets.

Rule: what is recorded is what came over the wire, byte for byte; nothing of it is judged here.
"""
