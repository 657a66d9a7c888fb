"""The application's own certificate authority, and a certificate for each service.

    <folder>/authority.pem  authority.key      the authority; whoever has the key can speak for any service
    <folder>/<service>.pem  <service>.key      a service's certificate, which names it as ramet://<app>/service/<name>

Made once and kept; a service's certificate is made anew when a third of its life is left. Keys are P-256, readable by their
owner alone. Source of the profile: RFC 5280; URIs as in SPIFFE, whose scheme would promise a trust domain that we do not run.
"""

import contextlib
import datetime
import fcntl
import os
import re
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ramet.calls.transport import Identity, service_uri
from ramet.errors import CertificateError

AUTHORITY_LIFE = datetime.timedelta(days=3650)
SERVICE_LIFE = datetime.timedelta(days=90)
"""90 days: short enough that a lost key ends by itself, long enough that a month without renewal breaks nothing."""
_BACKDATED = datetime.timedelta(minutes=5)
"""Clocks of two machines differ."""
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


@dataclass(frozen=True, slots=True)
class Issued:
    """What a certificate says. is_renewable: less than a third of its life is left."""

    service: str
    path: Path
    not_after: datetime.datetime
    is_renewable: bool


class Authority:
    """Use `at`: it opens the authority in a folder, or makes one there."""

    def __init__(self, folder: Path, app: str, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        self.folder = folder
        self.app = app
        self._certificate = certificate
        self._key = key

    def __repr__(self) -> str:
        return f"<Authority of {self.app} in {self.folder}, until {self._certificate.not_valid_after_utc:%Y-%m-%d}>"

    @property
    def not_after(self) -> datetime.datetime:
        return self._certificate.not_valid_after_utc

    @classmethod
    def at(cls, folder: Path, *, app: str) -> "Authority":
        """Raises CertificateError for files that are damaged, expired, or of another application."""
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path, key_path = folder / "authority.pem", folder / "authority.key"
        with _locked(folder):
            if not path.exists():
                certificate, key = _new_authority(app)
                _write(key_path, _key_pem(key))
                _write(path, certificate.public_bytes(serialization.Encoding.PEM))
        certificate, key = _load(path), _load_key(key_path)
        if certificate.public_key() != key.public_key():
            hint = f"restore both, or remove {folder}"
            raise CertificateError("the authority's key does not belong to its certificate", where=str(key_path), hint=hint)
        if (named := certificate.subject.rfc4514_string()) != f"CN={app}":
            raise CertificateError(f"the authority is that of {named.removeprefix('CN=')!r}, not of {app!r}", where=str(path))
        if certificate.not_valid_after_utc <= _now():
            raise CertificateError(
                f"the authority expired on {certificate.not_valid_after_utc:%Y-%m-%d}",
                where=str(path),
                hint=f"remove {folder}, run `ramet certs init`",
            )
        return cls(folder, app, certificate, key)

    def identity(self, service: str) -> Identity:
        """The files of a service, issued or renewed as needed. Raises CertificateError for a name that cannot be one."""
        certificate, key = self.folder / f"{service}.pem", self.folder / f"{service}.key"
        if not _NAME.fullmatch(service) or service == "authority":
            raise CertificateError(f"{service!r} cannot name a service", hint="lower-case letters, digits, _ and -")
        with _locked(self.folder):
            if not self._is_good(certificate, key):
                self._issue(service, certificate, key)
        return Identity(self.folder / "authority.pem", certificate, key)

    def issued(self) -> list[Issued]:
        return [self._issued(path) for path in sorted(self.folder.glob("*.pem")) if path.stem != "authority"]

    def _issued(self, path: Path) -> Issued:
        certificate = _load(path)
        return Issued(path.stem, path, certificate.not_valid_after_utc, _is_renewable(certificate))

    def _is_good(self, path: Path, key_path: Path) -> bool:
        if not (path.exists() and key_path.exists()):
            return False
        certificate = _load(path)
        with contextlib.suppress(Exception):
            certificate.verify_directly_issued_by(self._certificate)
            return not _is_renewable(certificate)
        return False  # of an earlier authority

    def _issue(self, service: str, path: Path, key_path: Path) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        now = _now()
        certificate = (
            x509.CertificateBuilder()
            .subject_name(_name(service))
            .issuer_name(self._certificate.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _BACKDATED)
            .not_valid_after(min(now + SERVICE_LIFE, self._certificate.not_valid_after_utc))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(
                x509.SubjectAlternativeName([x509.UniformResourceIdentifier(service_uri(self.app, service))]), critical=False
            )
            .add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]), critical=False
            )
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        _write(key_path, _key_pem(key))
        _write(path, certificate.public_bytes(serialization.Encoding.PEM))


def _new_authority(app: str) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key = ec.generate_private_key(ec.SECP256R1())
    now = _now()
    usage = x509.KeyUsage(
        key_cert_sign=True,
        crl_sign=True,
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    certificate = (
        x509.CertificateBuilder()
        .subject_name(_name(app))
        .issuer_name(_name(app))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + AUTHORITY_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return certificate, key


def _is_renewable(certificate: x509.Certificate) -> bool:
    life = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    return certificate.not_valid_after_utc - _now() < life / 3


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def _load(path: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError) as error:
        raise CertificateError(
            f"not a certificate: {error}", where=str(path), hint="remove it; it will be issued again"
        ) from error


def _load_key(path: Path) -> ec.EllipticCurvePrivateKey:
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), None)
    except (OSError, ValueError, TypeError) as error:
        raise CertificateError(
            f"not a key: {error}", where=str(path), hint="restore it; without it no certificate can be issued"
        ) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise CertificateError("not a key of ours: another kind than P-256", where=str(path))
    return key


def _write(path: Path, data: bytes) -> None:
    """All or nothing, and never readable by others."""
    part = path.with_suffix(path.suffix + ".part")
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    part.rename(path)


@contextlib.contextmanager
def _locked(folder: Path) -> Generator[None]:
    with (folder / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
