"""An authority for certificates, made for the tests.

Rule: keys are made once for each run, and live in files of the test's own only as long as OpenSSL needs to read them.
"""

import datetime
import functools
import ipaddress
import ssl
import tempfile
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

PEM = serialization.Encoding.PEM
DAY = datetime.timedelta(days=1)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


@functools.cache
def _authority(name: str) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.UTC)
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
    made = (
        x509.CertificateBuilder(_name(name), _name(name), key.public_key(), x509.random_serial_number())
        .not_valid_before(now - 2 * DAY)
        .not_valid_after(now + DAY)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(identifier, critical=False)
    )
    return key, made.sign(key, hashes.SHA256())


def pem(authority: str = "midstream tests") -> str:
    """The authority's own certificate."""
    return _authority(authority)[1].public_bytes(PEM).decode()


def server_context(
    *names: str, authority: str = "midstream tests", expired: bool = False, alpn: tuple[str, ...] = ("h2", "http/1.1")
) -> ssl.SSLContext:
    """What a server with these names and addresses needs."""
    ca_key, ca = _authority(authority)
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder(ca.subject, _name("server"), key.public_key(), x509.random_serial_number())
        .not_valid_before(now - 2 * DAY)
        .not_valid_after(now - DAY if expired else now + DAY)
        .add_extension(x509.SubjectAlternativeName([_alternative(name) for name in names]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    ).sign(ca_key, hashes.SHA256())
    secret = key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(list(alpn))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "server.pem"
        file.write_bytes(made.public_bytes(PEM) + secret)
        context.load_cert_chain(file)
    return context


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


@functools.cache
def trusting() -> ssl.SSLContext:
    """What a client needs that trusts the authority; made as the gateway makes its own."""
    from midstream.gateway.http.outbound import client_context

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "ca.pem"
        file.write_text(pem())
        return client_context(str(file))
