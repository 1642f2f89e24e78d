"""The command line: one module for each command, which parses, calls and prints.

Rule: a command decides nothing. What it finds out, another layer could tell a program in the same words.
"""


class Misuse(Exception):
    """A command was called in a way that makes no sense. Its text is the one sentence that the user reads."""


class Unable(Exception):
    """A command could not do its work, though it was called well. Its text is the one sentence that the user reads."""
