"""What curl says about how a transfer ended: its exit status, and the lines that it prints.

Rule: one table for the numbers (curl's manual, "Exit codes"), one for the words (curl's lib/, 7.88 to 8.x).
"""

import re

from midstream.doctor.recording.facts import Finished, How

EXITS: dict[int, tuple[How, str]] = {
    0: (How.CLEAN, "curl says that the transfer is complete"),
    5: (How.NO_ANSWER, "the name of the proxy was not found"),
    6: (How.NO_ANSWER, "the name of the host was not found"),
    7: (How.NO_ANSWER, "no connection could be made"),
    16: (How.BROKEN, "a problem in the framing of HTTP/2"),
    18: (How.INCOMPLETE, "the connection was closed with data outstanding"),
    22: (How.CLEAN, "an error status, which --fail turns into an exit status"),
    23: (How.STOPPED, "what curl received could not be written where it should go"),
    28: (How.TIMEOUT, "curl's own time limit ran out"),
    35: (How.NO_ANSWER, "the TLS handshake failed"),
    42: (How.STOPPED, "curl was stopped from outside"),
    52: (How.NO_ANSWER, "the connection was closed without any reply"),
    55: (How.RESET, "the request could not be sent to its end"),
    56: (How.RESET, "the connection was lost while data was received"),
    60: (How.NO_ANSWER, "the certificate of the server was refused"),
    61: (How.DAMAGED, "the content encoding is not one that curl knows, or is damaged"),
    92: (How.STREAM_RESET, "the HTTP/2 stream was reset"),
    95: (How.STREAM_RESET, "a problem in HTTP/3"),
    130: (How.STOPPED, "curl was interrupted"),
    143: (How.STOPPED, "curl was terminated"),
}
"""Exit status → how the transfer ended, and what it means."""

_WORDS: tuple[tuple[re.Pattern[str], How], ...] = tuple(
    (re.compile(words, re.IGNORECASE), how)
    for words, how in (
        (r"was not closed cleanly", How.STREAM_RESET),
        (r"Illegal or missing hexadecimal|chunk hex-length|Malformed encoding|invalid chunk", How.BROKEN),
        (r"outstanding read data remaining|bytes missing|end of response with \d+ bytes missing", How.INCOMPLETE),
        (r"Recv failure|reset by peer|SSL_read|unexpected eof", How.RESET),
        (r"timed out|Timeout was reached", How.TIMEOUT),
        (r"Empty reply from server", How.NO_ANSWER),
        (r"Could not resolve|Failed to connect|Couldn't connect", How.NO_ANSWER),
        (r"left intact", How.CLEAN),
    )
)
_ERROR = re.compile(r"curl: \((\d{1,3})\)\s*(.*)")
_H2_CODE = re.compile(r"\(err (\d{1,3})\)")


def finished_by_exit(code: int, words: str = "", at_s: float | None = None) -> Finished:
    """How a transfer ended that curl left with this status, with the words of its error if there were any."""
    how, meaning = EXITS.get(code, (How.UNKNOWN, "a status that says nothing about the stream"))
    if code == 56 and (said := _how_by_words(words)) is not None:
        how = said  # 56 stands for a reset, and for illegal chunks
    detail = f"curl exit {code}: {words or meaning}"
    h2 = _H2_CODE.search(words)
    return Finished(how, detail[:400], at_s, int(h2[1]) if h2 and how is How.STREAM_RESET else code)


def finished_by_line(line: str) -> Finished | None:
    """How a transfer ended by one line that curl printed; ``None`` if the line says nothing about that."""
    if (error := _ERROR.search(line)) is not None:
        return finished_by_exit(int(error[1]), error[2].strip())
    how = _how_by_words(line) if line.startswith("* ") else None
    if how is None:
        return None
    h2 = _H2_CODE.search(line)
    return Finished(how, line.removeprefix("* ").strip()[:400], code=int(h2[1]) if h2 else None)


def _how_by_words(words: str) -> How | None:
    return next((how for pattern, how in _WORDS if pattern.search(words)), None)
