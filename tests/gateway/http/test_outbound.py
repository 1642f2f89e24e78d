"""The face: what the gateway imports, and one whole exchange as it uses it."""

import asyncio
import gzip

from midstream.gateway.http import outbound
from tests.gateway.http.servers import Answer, Server, answer_to, pooled, post


def test_the_face_lists_what_it_has() -> None:
    assert outbound.__all__ == sorted(outbound.__all__)
    assert all(hasattr(outbound, name) for name in outbound.__all__)


def test_a_packed_answer_is_handed_on_packed_and_can_be_unpacked() -> None:
    async def story() -> None:
        packed = gzip.compress(b'{"type":"message"}')
        head = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(packed)
        async with Server(Answer(head + packed)) as server, pooled() as pool:
            heard = await answer_to(pool, post(server.origin()))
            assert heard.body == packed
            decoder = outbound.decoder_for(heard.headers)
            assert decoder is not None
            assert decoder.feed(heard.body) + decoder.end() == b'{"type":"message"}'

    asyncio.run(story())
