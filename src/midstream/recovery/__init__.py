"""Facts in, one step out.

Rule: pure, like ``protocol``. Time and randomness come in from outside; nothing here waits.
"""
