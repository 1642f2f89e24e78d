# `taking`, compiled.

# Of the size of a chunk: so many fit into a number without a thought for its end.
cdef enum:
    DIGITS_MAX = 15


cdef Py_ssize_t _body_of_chunk(const unsigned char *data, Py_ssize_t size) noexcept nogil:
    """Where the body of the one chunk begins that these bytes are, which ends two bytes before them; 0 if they are more,
    or less, or another thing."""
    cdef Py_ssize_t value = 0, at = 0
    cdef unsigned char c
    while at < size and at < DIGITS_MAX:
        c = data[at]
        if c"0" <= c <= c"9":
            value = value * 16 + (c - c"0")
        elif c"a" <= c <= c"f":
            value = value * 16 + (c - c"a" + 10)
        elif c"A" <= c <= c"F":
            value = value * 16 + (c - c"A" + 10)
        else:
            break
        if value == 0:
            return 0
        at += 1
    if at == 0 or value != size - at - 4:
        return 0
    if data[at] != c"\r" or data[at + 1] != c"\n" or data[size - 2] != c"\r" or data[size - 1] != c"\n":
        return 0
    return at + 2


cdef bint _is_tail(const char *data, Py_ssize_t size) noexcept nogil:
    """Whether these bytes may stand behind a payload: `TAILS`."""
    cdef Py_ssize_t at = 1
    if size < 4 or size > 4 + _BLANKS_MAX or data[0] != c"}":
        return False
    while at < size - 3 and data[at] == c" ":
        at += 1
    return at == size - 3 and data[at] == c"}" and data[at + 1] == c"\n" and data[at + 2] == c"\n"


cdef object _payload(const char *data, Py_ssize_t size):
    """The payload that these bytes begin with, if the rest of them ends a common delta; else ``None``."""
    cdef Py_ssize_t at = 1
    cdef unsigned char c = 0
    if size == 0 or data[0] != c'"':
        return None
    while at < size:
        c = <unsigned char>data[at]
        if c == c'"' or c == c"\\" or c < 32:
            break
        at += 1
    if at == size or c < 32:
        return None
    try:
        if c == c'"':
            return PyUnicode_DecodeUTF8(data + 1, at - 1, NULL) if _is_tail(data + at + 1, size - at - 1) else None
        at = size
        while data[at - 1] != c'"':  # the first one is
            at -= 1
        return _decode_string(PyBytes_FromStringAndSize(data, at)) if _is_tail(data + at, size - at) else None
    except (_DecodeError, ValueError):  # no UTF-8, or no JSON
        return None


cdef bytes _numbered(long long number, const char *data, Py_ssize_t size):
    """A frame with its number before it."""
    cdef char digits[24]
    cdef Py_ssize_t at = 24
    cdef char *out
    if number < 0:  # of a journal that somebody else has written to
        return b"id: %d\n%b" % (number, PyBytes_FromStringAndSize(data, size))
    while True:
        at -= 1
        digits[at] = <char>(c"0" + number % 10)
        number //= 10
        if number == 0:
            break
    frame = PyBytes_FromStringAndSize(NULL, 4 + 24 - at + 1 + size)
    out = PyBytes_AS_STRING(frame)
    memcpy(out, b"id: ", 4)
    memcpy(out + 4, digits + at, 24 - at)
    out += 4 + 24 - at
    out[0] = c"\n"
    memcpy(out + 1, data, size)
    return frame


@cython.auto_pickle(True)
cdef class Flow:
    cdef public double due
    cdef public object at
    cdef public long long taken_bytes
    cdef bytes _begin
    cdef list _parts
    cdef double _patience_s, _total_at
    cdef long long _bytes_max

    def __init__(
        self,
        bytes begin not None,
        list parts not None,
        double due,
        double patience_s,
        double total_at,
        long long bytes_max,
    ):
        if not begin:
            raise ValueError("a flow knows how its events begin")
        self.due, self._begin, self._parts = due, begin, parts
        self._patience_s, self._total_at, self._bytes_max = patience_s, total_at, bytes_max

    def takes(self, bytes data not None, now):
        return self._take(PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data), now)

    cdef bint _take(self, const char *data, Py_ssize_t size, now) except -1:
        cdef Py_ssize_t skip = PyBytes_GET_SIZE(self._begin)
        cdef double at = now
        if at >= self.due or size < skip or memcmp(data, PyBytes_AS_STRING(self._begin), skip):
            return False
        if self.taken_bytes + size > self._bytes_max:
            return False
        value = _payload(data + skip - 1, size - skip + 1)
        if not value:
            return False
        self._parts.append(value)
        self.taken_bytes += size
        self.at = now
        at += self._patience_s
        self.due = at if at < self._total_at else self._total_at
        return True


cdef class Numbered:
    cdef public long long number

    def __init__(self, long long number=0):
        self.number = number


cdef class Passage:
    cdef public Flow _flow
    cdef public Numbered _framer
    cdef public object _now, _writer
    cdef public long long read_bytes, shown_bytes

    def __init__(self):
        pass

    def takes(self, bytes data not None):
        return self._take(PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data))

    cdef bint _take(self, const char *data, Py_ssize_t size) except -1:
        flow = self._flow
        if flow is None or not flow._take(data, size, self._now()):
            return False
        self.read_bytes += size
        framer = self._framer
        framer.number += 1
        self._show(_numbered(framer.number, data, size), 1)
        return True

    def _append(self, bytes data not None, long long count):
        self._show(data, count)

    cdef int _show(self, bytes data, long long count) except -1:
        cdef long long before_bytes = self.shown_bytes, shown_bytes = before_bytes + PyBytes_GET_SIZE(data)
        self.shown_bytes = shown_bytes
        writer = self._writer
        if isinstance(writer, Appender):
            (<Appender>writer)._append(_SHOWN, data, count)
        else:
            writer.append(_SHOWN, data, count)
        if not before_bytes or (before_bytes ^ shown_bytes) >> _LOOK_BITS:
            self._hold_back()
        return 0


cdef class Intake:
    cdef public object _listener, _parser
    cdef public Py_ssize_t _quiet_bytes

    def data_received(self, data):
        cdef const char *start
        cdef Py_ssize_t size, begin
        listener = self._listener
        if self._parser is None and listener is not None and PyBytes_CheckExact(data):
            start, size = PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data)
            begin = _body_of_chunk(<const unsigned char *>start, size)
            if begin:
                self._quiet_bytes = 0
                size -= begin + 2
                if not isinstance(listener, Passage) or not (<Passage>listener)._take(start + begin, size):
                    listener.received(PyBytes_FromStringAndSize(start + begin, size))
                return
        self._parse(data)
