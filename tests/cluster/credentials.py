"""Who may talk to the test's API server: a certificate authority, tokens and kubeconfig files, all made here."""

from __future__ import annotations

import datetime
import ipaddress
import json
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

NAMES = ("localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc")
ADDRESSES = ("127.0.0.1", "10.96.0.1")


@dataclass(frozen=True)
class Authority:
    """Who signs certificates; its key is written nowhere, so that what it has not signed by now it never will."""

    folder: Path
    name: x509.Name
    key: ec.EllipticCurvePrivateKey

    def issue(self, file: str, subject: x509.Name, usage: x509.ObjectIdentifier, *names: x509.GeneralName) -> None:
        """Write `file`.crt and `file`.key, for a server or a client."""
        key = new_key()
        begun = certificate(subject, self.name, key.public_key())
        begun = begun.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        if names:
            begun = begun.add_extension(x509.SubjectAlternativeName(names), critical=False)
        signed = begun.sign(self.key, hashes.SHA256())
        (self.folder / f"{file}.crt").write_bytes(signed.public_bytes(serialization.Encoding.PEM))
        write_secret(self.folder / f"{file}.key", in_pem(key))


def write_certificates(folder: Path, *more_addresses: str) -> Authority:
    """Write ca.crt, server.crt, server.key and accounts.key (which signs the tokens of service accounts)."""
    key = new_key()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "backsweep test authority")])
    signed = (
        certificate(name, name, key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "ca.crt").write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    write_secret(folder / "accounts.key", in_pem(new_key()))
    authority = Authority(folder, name, key)
    addresses = [x509.IPAddress(ipaddress.ip_address(each)) for each in (*ADDRESSES, *more_addresses)]
    server = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kube-apiserver")])
    names = [x509.DNSName(each) for each in NAMES]
    authority.issue("server", server, ExtendedKeyUsageOID.SERVER_AUTH, *names, *addresses)
    return authority


def write_client_certificate(authority: Authority, file: str, user: str, group: str) -> None:
    """Write `file`.crt and `file`.key, by which a client is a user of a group."""
    names = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group), x509.NameAttribute(NameOID.COMMON_NAME, user)]
    authority.issue(file, x509.Name(names), ExtendedKeyUsageOID.CLIENT_AUTH)


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
