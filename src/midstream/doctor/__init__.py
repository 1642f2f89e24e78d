"""Face three: why did a stream break, and what to change.

Rule: a finding comes with its evidence and the smallest change that cures it; no key is needed and no secret printed.
"""
