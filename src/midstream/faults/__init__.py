"""Breaking things on purpose: one vocabulary of faults, and three players of it.

Rule: nothing here imports the code that it is there to break; an oracle that does cannot fail.
"""
