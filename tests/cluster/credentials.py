"""Who may talk to the test's API server: a certificate authority, tokens and kubeconfig files, all made here."""

from __future__ import annotations

import datetime
import ipaddress
import json
import secrets
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

NAMES = ("localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc")


def write_certificates(folder: Path) -> None:
    """Write ca.crt, server.crt, server.key and accounts.key (which signs the tokens of service accounts)."""
    authority_key = new_key()
    authority_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "backsweep test authority")])
    authority = (
        certificate(authority_name, authority_name, authority_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(authority_key, hashes.SHA256())
    )
    server_key = new_key()
    addresses = [x509.IPAddress(ipaddress.ip_address(each)) for each in ("127.0.0.1", "10.96.0.1")]
    server = (
        certificate(
            x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kube-apiserver")]),
            authority_name,
            server_key.public_key(),
        )
        .add_extension(
            x509.SubjectAlternativeName([*(x509.DNSName(name) for name in NAMES), *addresses]), critical=False
        )
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    (folder / "ca.crt").write_bytes(authority.public_bytes(serialization.Encoding.PEM))
    (folder / "server.crt").write_bytes(server.public_bytes(serialization.Encoding.PEM))
    for name, key in (("server.key", server_key), ("accounts.key", new_key())):
        write_secret(folder / name, in_pem(key))


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def in_pem(key: ec.EllipticCurvePrivateKey) -> str:
    """Write a key the way the API server reads it: EC PRIVATE KEY, not PKCS 8."""
    form = serialization.PrivateFormat.TraditionalOpenSSL
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()


def certificate(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    """Begin a certificate that is good from an hour ago, for clocks that differ, for a week."""
    now = datetime.datetime.now(datetime.UTC)  # noqa: TID251  # a real server checks it by the real clock
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=7))
    )


def write_secret(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text, encoding="utf-8")


def write_tokens(path: Path, groups: Mapping[str, str]) -> dict[str, str]:
    """Write the file of tokens the API server reads, for each user with its group, and return them by user."""
    tokens = {user: secrets.token_hex(16) for user in groups}
    lines = [f'{token},{user},{user},"{groups[user]}"' for user, token in tokens.items()]
    write_secret(path, "\n".join(lines) + "\n")
    return tokens


def write_kubeconfig(path: Path, url: str, authority: Path, token: str) -> Path:
    """Write what kubectl and every client library read; JSON is YAML."""
    cluster = {"server": url, "certificate-authority": str(authority)}
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "test", "cluster": cluster}],
        "users": [{"name": "user", "user": {"token": token}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "user"}}],
        "current-context": "test",
    }
    write_secret(path, json.dumps(content, indent=1))
    return path
