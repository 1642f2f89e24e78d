"""What left beside what came: clocks are not compared, only how late each piece is beside the least late one."""

import gzip
import zlib

import pytest

from midstream.doctor.probe.compare import seen
from midstream.doctor.probe.heard import Heard
from tests.doctor.probe.made import SHIFT_S, stream, told


def heard(*pieces: tuple[float, bytes], encoding: str = "", status: int = 200) -> Heard:
    headers = [("content-encoding", encoding)] if encoding else []
    return Heard("http/1.1", status=status, headers=headers, pieces=list(pieces), end="complete")


def test_a_piece_came_when_its_last_byte_did() -> None:
    found = seen("q", heard((5.0, b"a" * 150), (6.0, b"a" * 50), (7.0, b"a" * 99)), told([0.0, 1.0, 2.0]))
    assert found.came_at_s == (5.0, 6.0, None) and (found.left, found.came) == (3, 2)
    assert found.lags_s == (0.0, 0.0) and found.batches == 2 and found.shift_s == 5.0


def test_lags_are_counted_from_the_least_late_whatever_the_clocks_say() -> None:
    found = stream([0.0, 1.0, 2.0], [3.5, 4.2, 5.0])
    assert found.lags_s == pytest.approx((0.5, 0.2, 0.0)) and found.shift_s == pytest.approx(3.0)


def test_what_came_together_is_one_batch() -> None:
    assert stream([0.0, 0.05, 0.1], [1.0, 1.004, 1.5]).batches == 2
    assert stream([0.0], [None]).batches == 0


def test_a_compressed_body_is_counted_as_it_was_before() -> None:
    packer = zlib.compressobj(wbits=31)
    one, two = (
        packer.compress(b"a" * 100) + packer.flush(zlib.Z_SYNC_FLUSH),
        packer.compress(b"b" * 100) + packer.flush(),
    )
    found = seen("q", heard((1.0, one), (2.0, two), encoding="gzip"), told([0.0, 1.0]))
    assert found.came_at_s == (1.0, 2.0) and found.encoding == "gzip" and found.body == b"a" * 100 + b"b" * 100


@pytest.mark.parametrize("body", [b"no gzip", gzip.compress(b"a" * 200, mtime=0)[:11], b""], ids=["no", "cut", "none"])
def test_a_body_that_cannot_be_unpacked_did_not_come(body: bytes) -> None:
    found = seen("q", heard((1.0, body), encoding="gzip"), told([0.0]))
    assert found.came_at_s == (None,)


def test_an_answer_that_is_not_the_stream_is_none_of_its_pieces() -> None:
    found = seen("q", heard((1.0, b"x" * 500), status=504), told([0.0]))
    assert found.came_at_s == (None,) and found.body == b"x" * 500


def test_without_the_far_end_nothing_is_compared() -> None:
    found = seen("q", heard((1.0, b"x")), None)
    assert found.lags_s == () and found.came_at_s == () and found.shift_s == 0.0


def test_the_shift_is_that_of_the_clocks() -> None:
    assert stream([0.0, 1.0]).shift_s == pytest.approx(SHIFT_S)
    assert stream([0.0], [None]).shift_s == 0.0
