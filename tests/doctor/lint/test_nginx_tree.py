"""An nginx configuration as a tree, over its includes."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from midstream.doctor.lint import nginx_tree
from midstream.doctor.lint.findings import Checked, Edit
from midstream.doctor.lint.nginx_tree import Directive, Tree, parse
from midstream.doctor.lint.source import Source, Unreadable, read


def tree_of(text: str, name: str = "nginx.conf") -> tuple[Tree, Checked]:
    checked = Checked()
    return parse(Source(name, text), checked), checked


def named(tree: Tree, name: str) -> Directive:
    return next(each for each in tree.walk() if each.name == name)


def test_a_setting_is_that_of_the_nearest_level_and_the_last_of_it() -> None:
    tree, _ = tree_of("http {\n gzip on;\n server {\n location / { a b; }\n gzip off;\n gzip on;\n } }")
    setting = named(tree, "location").setting("gzip")
    assert setting is not None and (setting.value, setting.place.line) == ("on", 6)
    assert named(tree, "location").setting("missing") is None
    assert named(tree, "a").told() == "a b"


def test_what_is_not_about_http_is_left_out() -> None:
    tree, _ = tree_of("stream { server { proxy_pass x; } }\nhttp { server { } }")
    assert [each.name for each in tree.walk()] == ["", "http", "server"]


def test_an_include_stands_where_it_is_included_and_keeps_its_own_lines(tmp_path: Path) -> None:
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d" / "b.conf").write_text("\nserver { include inner; }")
    (tmp_path / "inner").write_text("listen 1;")
    main = tmp_path / "nginx.conf"
    main.write_text("http {\ngzip on;\ninclude conf.d/*.conf;\n}")
    checked = Checked()
    tree = parse(read(str(main)), checked)
    server = named(tree, "server")
    assert server.place.line == 2 and server.place.file.endswith("b.conf")
    assert server.setting("gzip") is not None
    assert named(tree, "listen").place.file.endswith("inner")
    assert len(checked.files) == 3 and checked.notes == []


def test_a_file_that_is_included_in_two_places_counts_in_both(tmp_path: Path) -> None:
    (tmp_path / "stream.inc").write_text("proxy_buffering off;")
    text = "server { location /a { include stream.inc; } location /b { include stream.inc; } }"
    tree, checked = tree_of(text, str(tmp_path / "nginx.conf"))
    places = [each for each in tree.walk() if each.name == "location"]
    assert [bool(each.here("proxy_buffering")) for each in places] == [True, True] and checked.notes == []


DUMP = """\
nginx: the configuration file /etc/nginx/nginx.conf syntax is ok
# configuration file /etc/nginx/nginx.conf:
http {
  gzip on;
  include conf.d/*.conf;
  include mime.types;
}

# configuration file /etc/nginx/conf.d/a.conf:
server {
  include /etc/nginx/snippets/x.inc;
}

# configuration file /etc/nginx/snippets/x.inc:
listen 1;
# configuration file /etc/nginx/conf.d/sub/b.conf:
nobody { includes this; }
"""


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_what_nginx_prints_of_itself_is_read_as_its_files_with_their_lines(end: str) -> None:
    tree, checked = tree_of(DUMP.replace("\n", end), "dump.txt")
    server = named(tree, "server")
    assert (server.place.file, server.place.line) == ("/etc/nginx/conf.d/a.conf", 1)
    assert server.setting("gzip") is not None
    assert named(tree, "listen").place.file == "/etc/nginx/snippets/x.inc"
    assert not any(each.name == "nobody" for each in tree.walk())
    assert checked.notes == ["dump.txt is what `nginx -T` prints: --fix and --diff need the files themselves"]
    checked.add("NGX-GZIP", server.place, "", [Edit("delete", server.place)])
    assert checked.findings[0].edits == ()


def test_a_comment_that_looks_like_a_dump_makes_none() -> None:
    tree, checked = tree_of("user x;\n# configuration file /etc/nginx/nginx.conf:\nhttp { }")
    assert named(tree, "user").place.line == 1 and checked.notes == []


def test_files_that_include_each_other_are_read_once(tmp_path: Path) -> None:
    for name, other in (("a", "b"), ("b", "a")):
        (tmp_path / name).write_text(f"include {other};\nx{name};")
    tree = parse(read(str(tmp_path / "a")), Checked())
    assert [each.name for each in tree.walk()] == ["", "xb", "xa"]


def test_what_is_included_and_not_there_is_noted(tmp_path: Path) -> None:
    (tmp_path / "bad").write_bytes(b"\0")
    text = "include missing.conf;\ninclude mime.types;\ninclude none/*.conf;\ninclude bad;"
    _, checked = tree_of(text, str(tmp_path / "nginx.conf"))
    assert len(checked.notes) == 2
    assert checked.notes[0].endswith("nginx.conf:1 includes missing.conf, which is not here")
    assert "bad is not text" in checked.notes[1]


def test_no_more_files_are_read_than_any_server_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nginx_tree, "FILES_MAX", 3)
    for number in range(9):
        (tmp_path / f"{number}.inc").write_text("x;")
    tree, checked = tree_of("include *.inc;", str(tmp_path / "nginx.conf"))
    assert sum(each.name == "x" for each in tree.walk()) == 2
    assert "only the first 3 files were read" in checked.notes[0]


@pytest.mark.parametrize("text", ["server {", "}", 'a "b', "a b"])
def test_what_is_no_configuration_is_one_sentence_with_its_line(text: str) -> None:
    try:
        tree_of(text)
    except Unreadable as problem:
        assert str(problem).startswith("nginx.conf:1 is not nginx configuration: ")


@given(st.text(alphabet="a{};\"'\\# \n$*", max_size=80))
def test_any_text_is_a_tree_or_one_sentence(text: str) -> None:
    try:
        tree, _ = tree_of(text)
    except Unreadable:
        return
    assert list(tree.walk())
