# `giving`, compiled.


cdef bytes _chunk(bytes data):
    """A piece of a body with the framing of a chunk."""
    cdef char digits[24]
    cdef Py_ssize_t at = 24, size = PyBytes_GET_SIZE(data), left = size
    cdef char *out
    while True:
        at -= 1
        digits[at] = b"0123456789abcdef"[left & 15]
        left >>= 4
        if left == 0:
            break
    chunk = PyBytes_FromStringAndSize(NULL, 24 - at + 4 + size)
    out = PyBytes_AS_STRING(chunk)
    memcpy(out, digits + at, 24 - at)
    out += 24 - at
    memcpy(out, b"\r\n", 2)
    memcpy(out + 2, PyBytes_AS_STRING(data), size)
    memcpy(out + 2 + size, b"\r\n", 2)
    return chunk


@cython.final
cdef class Totals:
    cdef public long long bytes_from_upstreams, bytes_to_clients, pings


cdef class Link:
    cdef public object _transport

    def write(self, data):
        self._transport.write(data)


cdef class Body:
    cdef public object _left_bytes, _line
    cdef public bytes _head
    cdef public bint _chunked, _mute, gone, started, writable

    def __init__(self):
        self.writable = True

    def write(self, bytes data not None):
        self._put(data)

    cdef int _put(self, bytes data) except -1:
        if self._mute or not data:
            return 0
        if self._chunked:
            data = _chunk(data)
        elif self._left_bytes is not None:
            data = data[: self._left_bytes]
            self._left_bytes -= len(data)
        if self._head is not None:
            data, self._head = self._head + data, None
        line = self._line
        if isinstance(line, Link):
            (<Link>line)._transport.write(data)
        else:
            line.write(data)
        return 0


cdef class Outlet:
    cdef public object _backlog, _reading, _response, _now
    cdef public Totals _totals
    cdef public long long _next
    cdef public double _sent_at
    cdef public bint _over

    def __call__(self, records):
        if len(records) != 1 or not self._hears(<Record?>records[0]):
            self._told(records)

    cdef bint _hears(self, Record record) except -1:
        if self._reading is not None or self._backlog is not None or self._over or record.first != self._next:
            return False
        if not isinstance(self._response, Body) or not (<Body>self._response).started:
            return False
        self._next += record.count
        self._put(record.data)
        return True

    def _give(self, bytes data not None):
        self._put(data)

    cdef int _put(self, bytes data) except -1:
        response = <Body?>self._response
        response._put(data)
        self._totals.bytes_to_clients += PyBytes_GET_SIZE(data)
        self._sent_at = self._now()
        if not response.writable and self._backlog is None:
            self._is_behind()
        return 0
