"""The way out: HTTP/1.1 to the services, by callbacks; a task lives only while a connection is made.

Rule: this is the face, and defines nothing. Who only describes requests imports `origin` alone, which does no I/O.
"""

from midstream.gateway.http.decoding import Decoder, DecodingError, decoder_for
from midstream.gateway.http.exchange import Exchange, Listener
from midstream.gateway.http.origin import Origin, OutRequest
from midstream.gateway.http.pool import Pool, PoolLimits
from midstream.gateway.http.proxies import Proxies, Proxy
from midstream.gateway.http.tls import client_context

__all__ = [
    "Decoder",
    "DecodingError",
    "Exchange",
    "Listener",
    "Origin",
    "OutRequest",
    "Pool",
    "PoolLimits",
    "Proxies",
    "Proxy",
    "client_context",
    "decoder_for",
]
