"""What is wrong with a command line is one sentence that names it, and where to look."""

import pytest

from midstream.cli.parser import Parser

WRONG = [
    (["sample", "--tmies", "3"], "sample: there is no --tmies (did you mean --times?); "),
    (["sample", "--zzz=sk-ant-secret"], "sample: there is no --zzz; "),
    (["sample", "sk-ant-secret"], "sample: there is an argument too many; "),
    (["sample", "--times"], "sample: argument --times: expected one argument; "),
    (["sample", "--times", "x"], "sample: argument --times: invalid int value: 'x'; "),
    (["--zzz"], ": there is no --zzz; "),
]


@pytest.mark.parametrize(("words", "sentence"), WRONG)
def test_a_mistake_is_one_sentence_and_status_2(
    words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    parser = Parser(prog="midstream")
    sample = parser.add_subparsers(dest="command", parser_class=Parser).add_parser("sample")
    sample.add_argument("--times", type=int)
    with pytest.raises(SystemExit) as ended:
        parser.parse_args(words)
    prog = f"midstream{' sample' if sentence.startswith('sample') else ''}"
    said = sentence.removeprefix("sample")
    assert ended.value.code == 2
    assert capsys.readouterr() == ("", f"{prog}{said}{prog} --help says what there is\n")
    assert "secret" not in said


def test_what_is_right_is_parsed() -> None:
    parser = Parser()
    parser.add_argument("--times", type=int)
    assert parser.parse_args(["--times", "3"]).times == 3
