"""What an event costs on its way through midstream, beside nginx and LiteLLM: ``make bench-gateway``.

Everybody gets the same bytes at the same rate from the same service, in one run, in turns. What is counted is CPU of
the whole process tree, user and system. The table is printed, and written to docs/explanation/gateway-cost.md.

Rule: exit status 1 says that a requirement was missed; the table says which, and by how much.
"""

import argparse
import sys
from dataclasses import fields, replace

from bench.gateway import contest, servers, table


def main(arguments: list[str] | None = None) -> int:
    """Measures everybody."""
    options = _options(arguments)
    scale = contest.QUICK if options.quick else contest.Scale()
    given = {field.name: getattr(options, field.name) for field in fields(scale)}
    scale = replace(scale, **{name: value for name, value in given.items() if value is not None})
    try:
        subjects = [*contest.others(options.nginx, options.litellm), *contest.gateways()]
    except servers.Missing as problem:
        print(problem, file=sys.stderr)
        return 2
    if options.without_litellm:
        subjects = [subject for subject in subjects if subject.name != contest.LITELLM]
    figures = contest.run(subjects, scale, lambda line: print(line, file=sys.stderr, flush=True))
    print(table.markdown(figures))
    if not (options.quick or options.dry or options.without_litellm):
        table.write(figures)
    return 0 if options.quick or all(row.holds is not False for row in table.rows(figures)) else 1


def _options(arguments: list[str] | None) -> argparse.Namespace:
    usual = contest.Scale()
    parser = argparse.ArgumentParser(prog="python -m bench.gateway", description=__doc__)
    parser.add_argument("--nginx", default="nginx", metavar="PATH", help="which nginx (default: that of the system)")
    parser.add_argument("--litellm", default="", metavar="PATH", help="which LiteLLM (default: installed into var/)")
    parser.add_argument("--without-litellm", action="store_true", help="leave it out, and the docs as they are")
    parser.add_argument("--quick", action="store_true", help="tiny, once, no verdict: shows only that it runs")
    parser.add_argument("--dry", action="store_true", help="leave the docs as they are")
    for field in fields(usual):
        flag, value = f"--{field.name.replace('_', '-')}", getattr(usual, field.name)
        parser.add_argument(flag, type=type(value), help=f"default {value:g}")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
