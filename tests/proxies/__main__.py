"""``python -m tests.proxies``: which versions of the proxies the tests run behind on this machine.

Rule: it prints one table, and fetches what is missing where it may.
"""

from tests.proxies.programs import version_table

print(version_table())  # noqa: T201
