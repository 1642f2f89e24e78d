"""An append-only record of what consumers may see.

Rule: knows bytes and offsets, never what they mean.
"""
