"""Certificates, tokens and kubeconfig files: what a client needs to reach the API over HTTPS on loopback.

Called once when the sandbox starts; everything is kept in the state directory and used again. It opens no socket.
"""

import base64
import datetime as dt
import ipaddress
import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from toban_sandbox.kube import auth

TOKENS_FILE = "tokens.json"
TOKEN_BYTES = 32
VALID_DAYS = 3650
RENEW_DAYS = 30
ROLES = (auth.ADMIN, auth.OPERATOR, auth.READER)


@dataclass(frozen=True)
class Certificates:
    """Paths of the files that a TLS server needs, and the authority's certificate in PEM for clients."""

    ca_certificate: Path
    server_certificate: Path
    server_key: Path

    @property
    def ca_pem(self) -> bytes:
        return self.ca_certificate.read_bytes()


def ensure_certificates(state_dir: Path) -> Certificates:
    """An authority and a server certificate for 127.0.0.1 and localhost, made when missing or about to expire."""
    folder = state_dir / "pki"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = Certificates(folder / "ca.crt", folder / "server.crt", folder / "server.key")
    if not _usable(found):
        _make(found)
    return found


def ensure_users(state_dir: Path) -> dict[str, auth.User]:
    """The users by token; tokens are random and kept across restarts in a file of mode 0600."""
    return {token: auth.User(role, role) for role, token in _tokens(state_dir).items()}


def write_kubeconfigs(state_dir: Path, *, url: str, certificates: Certificates) -> dict[str, Path]:
    """One kubeconfig file per role, mode 0600, with the authority inline; returns role -> path."""
    written = {}
    for role, token in _tokens(state_dir).items():
        path = state_dir / f"kubeconfig-{role}.yaml"
        _write_private(path, yaml.safe_dump(_kubeconfig(role, token, url=url, ca=certificates.ca_pem)).encode())
        written[role] = path
    return written


def _kubeconfig(role: str, token: str, *, url: str, ca: bytes) -> dict[str, object]:
    encoded = base64.b64encode(ca).decode()
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "sandbox",
        "preferences": {},
        "clusters": [{"name": "sandbox", "cluster": {"server": url, "certificate-authority-data": encoded}}],
        "users": [{"name": role, "user": {"token": token}}],
        "contexts": [{"name": "sandbox", "context": {"cluster": "sandbox", "user": role, "namespace": "default"}}],
    }


def _tokens(state_dir: Path) -> dict[str, str]:
    path = state_dir / TOKENS_FILE
    kept: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
    missing = [role for role in ROLES if not kept.get(role)]
    if missing:
        kept |= {role: secrets.token_urlsafe(TOKEN_BYTES) for role in missing}
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write_private(path, json.dumps(kept, indent=2).encode())
    return kept


def _usable(found: Certificates) -> bool:
    if not all(path.exists() for path in (found.ca_certificate, found.server_certificate, found.server_key)):
        return False
    soon = dt.datetime.now(dt.UTC) + dt.timedelta(days=RENEW_DAYS)
    loaded = [x509.load_pem_x509_certificate(p.read_bytes()) for p in (found.ca_certificate, found.server_certificate)]
    return all(certificate.not_valid_after_utc > soon for certificate in loaded)


def _make(wanted: Certificates) -> None:
    # The authority's key is used here once and kept nowhere: a new server certificate brings a new authority.
    ca_key = ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "toban-sandbox-ca")])
    ca = _builder(ca_name, ca_name, ca_key).add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    ca = ca.add_extension(_usage(signs_certificates=True), critical=True)
    ca = ca.add_extension(x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key()), critical=False)
    ca_certificate = ca.sign(ca_key, hashes.SHA256())

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "toban-sandbox")])
    server = _builder(name, ca_name, key).add_extension(
        x509.BasicConstraints(ca=False, path_length=None), critical=True
    )
    loopback = [x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.IPAddress(ipaddress.ip_address("::1"))]
    server = server.add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost"), *loopback]), critical=False)
    server = server.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    server = server.add_extension(_usage(signs_certificates=False), critical=True)
    authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key())
    certificate = server.add_extension(authority, critical=False).sign(ca_key, hashes.SHA256())

    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    _write_private(wanted.server_key, secret)
    wanted.ca_certificate.write_bytes(ca_certificate.public_bytes(pem))
    wanted.server_certificate.write_bytes(certificate.public_bytes(pem))


def _builder(name: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=VALID_DAYS))
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _write_private(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    temporary.replace(path)
