"""Certificates made at run time: an authority of the rig's own, the server's good certificate, and every bad one.

Of fixed sizes (Ed25519 keys, fixed serial numbers), so that in virtual time equal runs take equal time.
"""

from __future__ import annotations

import contextlib
import ipaddress
import ssl
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import NameOID

HOST = "fleet.unlock-rig.test"
"""The maker's server; .test never is a real host (RFC 6761)."""
BAD = ("expired", "foreign", "wrong_host")
"""What can be wrong with a server's certificate."""
GROUP = "prime256v1"
"""For the key exchange: what every OpenSSL knows; its newer versions' default makes a hello of 1.5 kB."""
PORTAL, STRANGER = "portal.unlock-rig.test", "stranger.unlock-rig.test"
"""Who answers where a captive portal stands, and where a wrong name server leads."""

Key = ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey


@dataclass(frozen=True, slots=True)
class Pair:
    """A key and its certificate."""

    key: Key
    cert: x509.Certificate

    def pem(self) -> bytes:
        """Certificate and key, as `ssl.SSLContext.load_cert_chain` reads them from a file."""
        return self.cert.public_bytes(serialization.Encoding.PEM) + self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )


@dataclass(frozen=True, slots=True)
class Trust:
    """Everybody's certificates, as contexts for TLS 1.3.

    Attributes:
        ca_pem: the authority that clients of the rig's server must trust.
        good: the server's key and certificate.
        client: a client's, trusting that authority alone.
        server: the server's.
        bad: the server's with a certificate nobody should accept, by what is wrong with it.
        others: contexts of others' servers by their names: the portal's and the stranger's.
    """

    ca_pem: bytes
    good: Pair
    client: ssl.SSLContext
    server: ssl.SSLContext
    bad: dict[str, ssl.SSLContext]
    others: dict[str, ssl.SSLContext]


def make_key(classic: bool) -> Key:
    """A fresh private key: Ed25519, or P-256, which every client knows."""
    return ec.generate_private_key(ec.SECP256R1()) if classic else ed25519.Ed25519PrivateKey.generate()


def authority(name: str, classic: bool) -> Pair:
    """A certificate authority."""
    key = make_key(classic)
    subject = _name(name)
    cert = _builder(subject, subject, key, timedelta(days=-1), timedelta(days=30)).add_extension(
        x509.BasicConstraints(ca=True, path_length=0), critical=True
    )
    cert = cert.add_extension(_signs_certificates(), critical=True)
    return Pair(key, cert.sign(key, _digest(key)))


def certificate(issuer: Pair, hosts: tuple[str, ...], classic: bool, *, expired: bool = False) -> Pair:
    """A server's certificate for some names and addresses; valid from yesterday, or until yesterday."""
    key = make_key(classic)
    begin, end = (timedelta(days=-30), timedelta(days=-1)) if expired else (timedelta(days=-1), timedelta(days=30))
    builder = _builder(_name(hosts[0]), issuer.cert.subject, key, begin, end).add_extension(
        x509.SubjectAlternativeName([_san(host) for host in hosts]), critical=False
    )
    # Python 3.13 asks for both (VERIFY_X509_STRICT).
    builder = builder.add_extension(
        x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key()), critical=False
    )
    return Pair(key, builder.sign(issuer.key, _digest(issuer.key)))


def make_trust(hosts: tuple[str, ...] = (HOST,), classic: bool = False) -> Trust:
    """Makes an authority and all certificates.

    Args:
        hosts: names and addresses of the server.
        classic: P-256 keys, for clients that do not know Ed25519.
    """
    root, foreign = authority("unlock-rig authority", classic), authority("somebody else's", classic)
    pairs = {
        "good": certificate(root, hosts, classic),
        "expired": certificate(root, hosts, classic, expired=True),
        "foreign": certificate(foreign, hosts, classic),
        "wrong_host": certificate(root, (STRANGER,), classic),
        PORTAL: certificate(foreign, (PORTAL,), classic),
        STRANGER: certificate(root, (STRANGER,), classic),
    }
    contexts = {name: server_context(pair) for name, pair in pairs.items()}
    ca_pem = root.cert.public_bytes(serialization.Encoding.PEM)
    return Trust(
        ca_pem,
        pairs["good"],
        client_context(ca_pem),
        contexts["good"],
        {name: contexts[name] for name in BAD},
        {name: contexts[name] for name in (PORTAL, STRANGER)},
    )


@lru_cache(maxsize=1)
def rig_trust() -> Trust:
    """The certificates of this process's rig, made once."""
    return make_trust()


def client_context(ca_pem: bytes) -> ssl.SSLContext:
    """A client's context that trusts one authority."""
    context = ssl.create_default_context(cadata=ca_pem.decode())
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.set_ecdh_curve(GROUP)
    return context


def server_context(pair: Pair) -> ssl.SSLContext:
    """A server's context that shows one certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.set_ecdh_curve(GROUP)
    # Nobody resumes a session, and tickets would be bytes that no request asked for.
    context.num_tickets = 0
    with _secret_file(pair.pem()) as path:
        context.load_cert_chain(path)
    return context


@contextlib.contextmanager
def _secret_file(content: bytes) -> Iterator[Path]:
    """A file of the user's own that lives as long as the block: OpenSSL reads keys from files only."""
    with tempfile.TemporaryDirectory(prefix="unlock-rig-") as folder:
        path = Path(folder) / "pair.pem"
        path.write_bytes(content)
        yield path


def _digest(key: Key) -> hashes.SHA256 | None:
    return hashes.SHA256() if isinstance(key, ec.EllipticCurvePrivateKey) else None


def _signs_certificates() -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=False, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False,
    )  # fmt: skip


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _san(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: Key, begin: timedelta, end: timedelta
) -> x509.CertificateBuilder:
    today = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(1 << 62)
        .not_valid_before(today + begin)
        .not_valid_after(today + end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
