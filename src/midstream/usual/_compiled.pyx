# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, binding=False
# cython: auto_pickle=False, embedsignature=False, nonecheck=True
"""The way of the usual event, compiled: what `taking`, `storing` and `giving` say, under the same names.

Rule: nothing is decided here that is not decided there. Where a value is no usual one, the way there is the way here: a
method of whoever derives from these.

What is gained: no frame of the interpreter on the way, no copy of a chunk to look at its parts, plain numbers in place
of objects, so that a stream whose turn it is brings fewer lines of memory with it.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.dict cimport PyDict_GetItemWithError
from cpython.ref cimport PyObject
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.string cimport memcmp, memcpy

import msgspec

from midstream.protocol.common import TAILS, decode_string
from midstream.usual import storing, taking
from midstream.usual.kinds import Kind

cdef object _ENDED = Kind.ENDED, _SHOWN = Kind.SHOWN, _SHOWN_NUMBER = int(Kind.SHOWN)
cdef object _decode_string = decode_string, _DecodeError = msgspec.DecodeError
cdef list _NOTHING = storing.NOTHING
cdef Py_ssize_t _STEPS_MAX = storing.STEPS_MAX
cdef int _LOOK_BITS = taking.LOOK_BITS
cdef Py_ssize_t _BLANKS_MAX = max(map(len, TAILS)) - len(b"}}\n\n")

include "_storing.pxi"
include "_taking.pxi"
include "_giving.pxi"
