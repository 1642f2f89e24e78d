"""What the gateway asks of TLS, and what it says when it is not given.

Rule: a certificate is always checked.
"""

import asyncio
import ssl


def client_context(ca_file: str | None = None) -> ssl.SSLContext:
    """How servers are met: by the system's authorities (or ``SSL_CERT_FILE``, ``SSL_CERT_DIR``), or by those of a file.

    Raises ValueError, in one sentence, for a file that cannot be used.
    """
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except OSError as problem:  # ssl.SSLError is one
        why = (
            "is no file of certificates" if isinstance(problem, ssl.SSLError) else f"cannot be read: {problem.strerror}"
        )
        raise ValueError(f"the CA bundle {ca_file} {why}") from None
    context.set_alpn_protocols(["http/1.1"])
    return context


def why_refused(problem: BaseException) -> tuple[str, str]:
    """Reason and detail of a handshake that failed."""
    if isinstance(problem, ssl.SSLCertVerificationError):
        # The verdict is OpenSSL's own sentence about the certificate, with nothing of ours in it.
        return "certificate", getattr(problem, "verify_message", None) or "the certificate was refused"
    if isinstance(problem, TimeoutError):
        return "connect_timeout", "the TLS handshake took too long"
    return "tls", getattr(problem, "reason", None) or type(problem).__name__


def said_goodbye(transport: asyncio.Transport) -> bool:
    """At the end of what was received: whether the other side meant it to be the end.

    Without TLS there is no telling, and the answer is yes. With it, the end must have been announced: anybody on the
    way can close a connection (RFC 9112 §9.8).
    """
    tls = transport.get_extra_info("ssl_object")
    if tls is None:
        return True
    try:
        return not tls.read(1)
    except ssl.SSLZeroReturnError:
        return True
    except (ssl.SSLError, ValueError):
        return False
