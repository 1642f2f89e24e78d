"""Requests that must not be served, each with the status that it gets: for the parser alone, and over sockets."""

POST = b"POST /echo HTTP/1.1\r\nhost: a\r\n"
GET = b"GET /echo HTTP/1.1\r\nhost: a\r\n\r\n"
CHUNKED = POST + b"transfer-encoding: chunked\r\n\r\n"
HIDDEN = b"GET /hidden HTTP/1.1\r\nhost: a\r\n\r\n"
"""What a smuggler wants to be taken for a request of its own."""

LINES = {
    "nothing like http": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    "http/0.9": (b"GET /\r\n", 400),
    "http/0.9 said": (b"GET / HTTP/0.9\r\nhost: a\r\n\r\n", 505),
    "http/1.2": (b"GET / HTTP/1.2\r\nhost: a\r\n\r\n", 505),
    "http/2": (b"GET / HTTP/2.0\r\nhost: a\r\n\r\n", 505),
    "preface of http/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    "rtsp": (b"GET / RTSP/1.0\r\nhost: a\r\n\r\n", 400),
    "icecast": (b"SOURCE / ICE/1.0\r\nhost: a\r\n\r\n", 400),
    "version in small letters": (b"GET / http/1.1\r\nhost: a\r\n\r\n", 400),
    "version of two digits": (b"GET / HTTP/1.10\r\nhost: a\r\n\r\n", 400),
    "method in small letters": (b"get / HTTP/1.1\r\nhost: a\r\n\r\n", 400),
    "unknown method": (b"BREW / HTTP/1.1\r\nhost: a\r\n\r\n", 405),
    "connect": (b"CONNECT a:443 HTTP/1.1\r\nhost: a\r\n\r\n", 405),
    "trace": (b"TRACE / HTTP/1.1\r\nhost: a\r\n\r\n", 405),
    "absolute target": (b"GET http://a/ HTTP/1.1\r\nhost: a\r\n\r\n", 400),
    "no path": (b"GET ?a HTTP/1.1\r\nhost: a\r\n\r\n", 400),
    "asterisk": (b"OPTIONS * HTTP/1.1\r\nhost: a\r\n\r\n", 400),
    "fragment": (b"GET /a#b HTTP/1.1\r\nhost: a\r\n\r\n", 400),
    "backslash": (b"GET /a\\..\\b HTTP/1.1\r\nhost: a\r\n\r\n", 400),
    "two spaces": (b"GET  / HTTP/1.1\r\nhost: a\r\n\r\n", 400),
    "tab for a space": (b"GET\t/ HTTP/1.1\r\nhost: a\r\n\r\n", 400),
    "space in the target": (b"GET /a b HTTP/1.1\r\nhost: a\r\n\r\n", 400),
    "space behind the version": (b"GET / HTTP/1.1 \r\nhost: a\r\n\r\n", 400),
    "control byte in the target": (b"GET /a\x01b HTTP/1.1\r\nhost: a\r\n\r\n", 400),
    "nul in the target": (b"GET /a\0b HTTP/1.1\r\nhost: a\r\n\r\n", 400),
    "delete in the target": (b"GET /a\x7fb HTTP/1.1\r\nhost: a\r\n\r\n", 400),
    "byte beyond ascii in the target": (b"GET /a\xffb HTTP/1.1\r\nhost: a\r\n\r\n", 400),
    "cr in the target": (b"GET /a\rb HTTP/1.1\r\nhost: a\r\n\r\n", 400),
    "bare lf behind the line": (b"GET / HTTP/1.1\nhost: a\r\n\r\n", 400),
    "empty line first": (b"\r\n" + GET, 400),
    "bare lf first": (b"\n" + GET, 400),
    "space first": (b" " + GET, 400),
}

HEADS = {
    "space before the colon": (POST + b"foo : bar\r\n\r\n", 400),
    "space before the colon of te": (POST + b"transfer-encoding : chunked\r\n\r\n0\r\n\r\n", 400),
    "folded": (POST + b"foo: a\r\n b\r\n\r\n", 400),
    "folded with a tab": (POST + b"foo: a\r\n\tb\r\n\r\n", 400),
    "folded at once": (b"GET / HTTP/1.1\r\n host: a\r\n\r\n", 400),
    "bare lf": (POST + b"foo: a\nbar: b\r\n\r\n", 400),
    "bare lf at the end": (POST + b"foo: a\r\n\nGET", 400),
    "bare cr": (POST + b"foo: a\rb\r\n\r\n", 400),
    "two crs": (POST + b"foo: a\r\r\nbar: b\r\n\r\n", 400),
    "nul in a value": (POST + b"foo: a\0b\r\n\r\n", 400),
    "nul in a name": (POST + b"fo\0o: a\r\n\r\n", 400),
    "control byte in a value": (POST + b"foo: a\x01b\r\n\r\n", 400),
    "vertical tab before chunked": (POST + b"transfer-encoding: \x0bchunked\r\n\r\n0\r\n\r\n", 400),
    "no name": (POST + b": a\r\n\r\n", 400),
    "no colon": (POST + b"foo\r\n\r\n", 400),
    "bracket in a name": (POST + b"f(o: a\r\n\r\n", 400),
    "name beyond ascii": (POST + b"f\xffo: a\r\n\r\n", 400),
    "no host": (b"GET / HTTP/1.1\r\nfoo: a\r\n\r\n", 400),
    "two hosts": (POST + b"host: b\r\n\r\n", 400),
    "host with a path": (b"GET / HTTP/1.1\r\nhost: a/b\r\n\r\n", 400),
    "host with a user": (b"GET / HTTP/1.1\r\nhost: u@a\r\n\r\n", 400),
    "expects something else": (POST + b"expect: 200-ok\r\ncontent-length: 1\r\n\r\na", 417),
}

LENGTHS = {
    "length and chunked": (POST + b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n" + HIDDEN, 400),
    "chunked and length": (POST + b"transfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n" + HIDDEN, 400),
    "two lengths": (POST + b"content-length: 0\r\ncontent-length: 41\r\n\r\n" + HIDDEN, 400),
    "the same length twice": (POST + b"content-length: 3\r\ncontent-length: 3\r\n\r\nabc", 400),
    "a list of lengths": (POST + b"content-length: 3, 3\r\n\r\nabc", 400),
    "length with plus": (POST + b"content-length: +3\r\n\r\nabc", 400),
    "length with minus": (POST + b"content-length: -3\r\n\r\nabc", 400),
    "length in hex": (POST + b"content-length: 0x3\r\n\r\nabc", 400),
    "length of nothing": (POST + b"content-length: \r\n\r\nabc", 400),
    "length of two words": (POST + b"content-length: 3 3\r\n\r\nabc", 400),
    "length with an underscore": (POST + b"content-length: 1_0\r\n\r\nabcdefghij", 400),
    "length in other digits": (POST + "content-length: ٣\r\n\r\nabc".encode(), 400),
    "length beyond every number": (POST + b"content-length: 99999999999999999999999\r\n\r\n", 400),
    "length beyond the limit": (POST + b"content-length: 33554433\r\n\r\n", 413),
    "te unknown": (POST + b"transfer-encoding: xchunked\r\n\r\n0\r\n\r\n", 400),
    "te identity": (POST + b"transfer-encoding: identity\r\n\r\n" + HIDDEN, 400),
    "te gzip, chunked": (POST + b"transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400),
    "te chunked, gzip": (POST + b"transfer-encoding: chunked, gzip\r\n\r\n0\r\n\r\n", 400),
    "te chunked, identity": (POST + b"transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n", 400),
    "te twice": (POST + b"transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "te twice, one unknown": (POST + b"transfer-encoding: chunked\r\ntransfer-encoding: x\r\n\r\n0\r\n\r\n", 400),
    "te of nothing": (POST + b"transfer-encoding: \r\n\r\n", 400),
    "te in quotes": (POST + b'transfer-encoding: "chunked"\r\n\r\n0\r\n\r\n', 400),
    "te with a parameter": (POST + b"transfer-encoding: chunked;q=1\r\n\r\n0\r\n\r\n", 400),
    "te in http/1.0": (b"POST /echo HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", 400),
}

CHUNKS = {
    "size in 0x": (CHUNKED + b"0x3\r\nabc\r\n0\r\n\r\n", 400),
    "size with plus": (CHUNKED + b"+3\r\nabc\r\n0\r\n\r\n", 400),
    "size with minus": (CHUNKED + b"-3\r\nabc\r\n0\r\n\r\n", 400),
    "size with a space": (CHUNKED + b"3 \r\nabc\r\n0\r\n\r\n", 400),
    "size with a space before": (CHUNKED + b" 3\r\nabc\r\n0\r\n\r\n", 400),
    "size of nothing": (CHUNKED + b"\r\nabc\r\n0\r\n\r\n", 400),
    "size beyond every number": (CHUNKED + b"fffffffffffffffff\r\nabc\r\n0\r\n\r\n", 400),
    "size too small": (CHUNKED + b"3\r\nabcd\r\n0\r\n\r\n", 400),
    "bare lf behind the size": (CHUNKED + b"3\nabc\r\n0\r\n\r\n", 400),
    "bare lf behind the chunk": (CHUNKED + b"3\r\nabc\n0\r\n\r\n", 400),
    "bare lf in an extension": (CHUNKED + b"3;a\nb\r\nabc\r\n0\r\n\r\n", 400),
    "bare cr in an extension": (CHUNKED + b"3;a\rb\r\nabc\r\n0\r\n\r\n", 400),
    "bare lf at the end": (CHUNKED + b"3\r\nabc\r\n0\n\n", 400),
    "length as a trailer": (CHUNKED + b"3\r\nabc\r\n0\r\ncontent-length: 5\r\n\r\n", 400),
    "te as a trailer": (CHUNKED + b"3\r\nabc\r\n0\r\ntransfer-encoding: chunked\r\n\r\n", 400),
    "nul in a trailer": (CHUNKED + b"3\r\nabc\r\n0\r\nfoo: a\0b\r\n\r\n", 400),
    "an extension without end": (CHUNKED + b"3;" + b"a" * 200_000, 400),
    "zeros without end": (CHUNKED + b"0" * 200_000, 400),
    "trailers without end": (CHUNKED + b"0\r\n" + b"foo: bar\r\n" * 20_000, 400),
}

SIZES = {
    "target too long": (b"GET /" + b"a" * 16_384 + b" HTTP/1.1\r\nhost: a\r\n\r\n", 414),
    "target without end": (b"GET /" + b"a" * 20_000, 414),
    "one long value": (POST + b"foo: " + b"a" * 65_536 + b"\r\n\r\n", 431),
    "one value without end": (POST + b"foo: " + b"a" * 70_000, 431),
    "one name without end": (POST + b"a" * 70_000, 431),
    "long headers": (POST + b"".join(b"foo%d: %b\r\n" % (n, b"a" * 1000) for n in range(70)) + b"\r\n", 431),
    "many headers": (POST + b"a: b\r\n" * 200 + b"\r\n", 431),
}

ATTACKS = {**LINES, **HEADS, **LENGTHS, **{f"chunk {name}": row for name, row in CHUNKS.items()}, **SIZES}

HARMLESS = {
    "plain": (GET, b""),
    "http/1.0": (b"GET /echo HTTP/1.0\r\n\r\n", b""),
    "length": (POST + b"content-length: 3\r\n\r\nabc", b"abc"),
    "length of zero": (POST + b"content-length: 0\r\n\r\n", b""),
    "length with spaces around": (POST + b"content-length: \t 3 \r\n\r\nabc", b"abc"),
    "no body": (POST + b"\r\n", b""),
    "chunks": (CHUNKED + b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", b"abcde"),
    "chunked in capitals": (POST + b"Transfer-Encoding: CHUNKED\r\n\r\n3\r\nabc\r\n0\r\n\r\n", b"abc"),
    "sizes in capitals, with zeros": (CHUNKED + b"00A\r\nabcdefghij\r\n000\r\n\r\n", b"abcdefghij"),
    "extension": (CHUNKED + b'3;a=b;c="d"\r\nabc\r\n0\r\n\r\n', b"abc"),
    "trailer": (CHUNKED + b"3\r\nabc\r\n0\r\nfoo: bar\r\n\r\n", b"abc"),
    "offers http/2": (b"GET /echo HTTP/1.1\r\nhost: a\r\nconnection: Upgrade\r\nupgrade: h2c\r\n\r\n", b""),
    "offers http/2 with a length": (
        POST + b"connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\ncontent-length: 3\r\n\r\nabc",
        b"abc",
    ),
    "offers http/2 in chunks": (
        POST + b"connection: upgrade\r\nupgrade: h2c\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        b"abc",
    ),
}
"""Requests that are odd at most, and the bodies that they have."""
