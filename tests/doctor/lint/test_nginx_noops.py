"""nginx: a line that does nothing here may do something elsewhere."""

import pytest

from midstream.doctor.lint.findings import Assumptions
from midstream.doctor.lint.nginx import check
from midstream.doctor.lint.source import Source


def noops(text: str) -> dict[str, bool]:
    """The lines that do nothing, and whether they are taken out."""
    found = check(Source("nginx.conf", text), Assumptions()).findings
    return {each.rule.id: bool(each.edits) for each in found if "-NOOP-" in each.rule.id}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http {\nserver {\nlocation / {\nproxy_pass http://x;\ngzip off;\n} } }", {"NGX-NOOP-GZIP": True}),
        # Around a part, gzip may be on.
        ("location / {\nproxy_pass http://x;\ngzip off;\n}", {"NGX-NOOP-GZIP": False}),
        ("http {\ngzip on;\nserver {\nlocation / {\nproxy_pass http://x;\ngzip off;\n} } }", {}),
        ("location / {\nproxy_pass http://x;\ngzip on;\n}", {}),
        ("location / {\nproxy_pass http://x;\nproxy_max_temp_file_size 0m;\n}", {"NGX-NOOP-TEMP-FILE": True}),
        ("location / {\nproxy_pass http://x;\nproxy_set_header Connection upgrade;\n}", {}),
        ("location / {\nproxy_pass http://x;\nproxy_send_timeout 5s;\n}", {"NGX-NOOP-SEND-TIMEOUT": False}),
    ],
)
def test_what_does_nothing_is_said_and_taken_out_where_that_is_certain(text: str, expected: dict[str, bool]) -> None:
    assert noops(text) == expected
