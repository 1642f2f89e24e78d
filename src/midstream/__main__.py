"""``python -m midstream``: the same as the command ``midstream``.

Rule: one call, nothing else.
"""

import sys

from midstream.cli.main import main

sys.exit(main())
