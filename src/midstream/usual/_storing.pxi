# `storing`, compiled.


@cython.final
@cython.no_gc
@cython.freelist(64)
cdef class Record:
    cdef readonly object kind
    cdef readonly bytes data
    cdef readonly long long first, count

    def __init__(self, kind not None, bytes data not None, long long first=0, long long count=0):
        self.kind, self.data, self.first, self.count = kind, data, first, count

    @property
    def last(self):
        return self.first + self.count - 1

    def __eq__(self, other):
        if type(other) is not Record:
            return NotImplemented
        it = <Record>other
        return self.kind is it.kind and self.data == it.data and self.first == it.first and self.count == it.count

    def __hash__(self):
        return hash((self.kind, self.data, self.first, self.count))

    def __repr__(self):
        return f"Record(kind={self.kind!r}, data={self.data!r}, first={self.first}, count={self.count})"


@cython.final
cdef class Head:
    cdef public long long row, far, steps, offset, size_bytes

    def __init__(
        self, long long row=0, long long far=0, long long steps=0, long long offset=0, long long size_bytes=0
    ):
        self.row, self.far, self.steps, self.offset, self.size_bytes = row, far, steps, offset, size_bytes

    def __eq__(self, other):
        if type(other) is not Head:
            return NotImplemented
        it = <Head>other
        mine = (self.row, self.far, self.steps, self.offset, self.size_bytes)
        return mine == (it.row, it.far, it.steps, it.offset, it.size_bytes)

    def __repr__(self):
        mine = f"row={self.row}, far={self.far}, steps={self.steps}"
        return f"Head({mine}, offset={self.offset}, size_bytes={self.size_bytes})"

    def move(self, long long row, Record record not None):
        self._move(row, record)

    cdef void _move(self, long long row, Record record) noexcept:
        if self.steps + 1 == _STEPS_MAX or not self.far:
            self.far, self.steps = row, 0
        else:
            self.steps += 1
        self.row = row
        self.offset += record.count
        self.size_bytes += PyBytes_GET_SIZE(record.data)


cdef class Tail:
    cdef public str id
    cdef public Head head
    cdef public list pending
    cdef public object ended_at
    cdef public long long no, epoch, offset, told_offset, pending_bytes
    cdef public Py_ssize_t told
    cdef public bint touched, news, lossy

    def __init__(self, str id not None, long long no, long long epoch, Head head not None):
        self.id, self.no, self.epoch, self.head = id, no, epoch, head
        self.offset = self.told_offset = head.offset
        self.pending = _NOTHING
        self.news = True


cdef class Appender:
    cdef readonly str id
    cdef readonly long long epoch
    cdef public bint fenced
    cdef Tail _stream
    cdef list _touched
    cdef object _touch, _clock

    def __init__(self, Tail stream not None, list touched not None, touch, clock):
        self.id, self.epoch = stream.id, stream.epoch
        self._stream, self._touched, self._touch, self._clock = stream, touched, touch, clock

    @property
    def offset(self):
        return self._stream.offset

    @property
    def pending_bytes(self):
        return self._stream.pending_bytes

    def append(self, kind, bytes data not None, long long count=0):
        self._append(kind, data, count)

    cdef int _append(self, kind, bytes data, long long count) except -1:
        stream = self._stream
        if self.epoch != stream.epoch:
            self.fenced = True
            return 0
        if stream.ended_at is not None:
            raise RuntimeError(f"stream {self.id} has ended: nothing can be appended to it")
        if kind is _ENDED:
            stream.ended_at = self._clock()
            stream.news = True
        record = <Record>Record.__new__(Record)
        record.kind, record.data, record.first, record.count = kind, data, stream.offset + 1 if count else 0, count
        if stream.pending:
            stream.pending.append(record)
        else:
            stream.pending = [record]
        stream.offset += count
        stream.pending_bytes += PyBytes_GET_SIZE(data)
        if not stream.touched:
            self.touch()
        return 0

    cpdef touch(self):
        self._stream.touched = True
        if not self._touched:
            self._touch()
        self._touched.append(self._stream)


cdef class Audience:
    cdef public dict _of

    cdef int _tell(self, str id, Record record) except -1:
        cdef PyObject *entry = PyDict_GetItemWithError(self._of, id)
        if entry is NULL:
            return 0
        found = <object>entry
        if record.kind is not _SHOWN or not isinstance(found, Outlet):
            self.tell(id, (record,))
            return 0
        try:
            if not (<Outlet>found)._hears(record):
                (<Outlet>found)._told((record,))
        except Exception as problem:
            self._failed(id, problem)
        return 0


def tell_news(list streams not None, Audience audience not None, join):
    cdef Tail stream
    cdef Py_ssize_t told, now
    for stream in streams:
        stream.touched = False
        told, now = stream.told, len(stream.pending)
        stream.told = now
        if now == told + 1:
            audience._tell(stream.id, <Record?>stream.pending[told])
        else:
            audience.tell(stream.id, join(stream.pending[told:]))


def take_rows(list touched not None, list values not None, long long row, join):
    cdef Tail stream
    cdef Record record
    cdef Head head
    cdef long long size_bytes
    cdef list streams = [], records = [], others = [], joined
    for stream in touched:
        if stream.news or stream.told or stream.lossy:
            others.append(stream)
            continue
        joined = stream.pending if len(stream.pending) == 1 else join(stream.pending)
        if len(joined) != 1:
            others.append(stream)
            continue
        record = <Record?>joined[0]
        stream.touched = False
        stream.pending = _NOTHING
        head = stream.head
        size_bytes = head.size_bytes + PyBytes_GET_SIZE(record.data)
        values.append(row)
        values.append(stream.no)
        values.append(head.row)
        values.append(head.far)
        values.append(_SHOWN_NUMBER if record.kind is _SHOWN else int(record.kind))
        values.append(head.offset + 1)
        values.append(record.count)
        values.append(size_bytes)
        values.append(record.data)
        row += 1
        streams.append(stream)
        records.append(record)
    return streams, records, others


def settle_rows(list streams not None, list records not None, long long row, Audience audience not None):
    cdef Tail stream
    cdef Record record
    cdef Py_ssize_t at
    if len(streams) != len(records):
        raise ValueError("there must be as many records as streams")
    for at in range(len(streams)):
        stream, record = <Tail?>streams[at], <Record?>records[at]
        stream.head._move(row, record)
        stream.pending_bytes -= PyBytes_GET_SIZE(record.data)
        stream.told_offset = stream.head.offset
        audience._tell(stream.id, record)
        row += 1
