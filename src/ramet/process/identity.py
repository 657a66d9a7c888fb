"""The certificate of an instance's service, where it takes calls over the network."""

from pathlib import Path

from ramet.calls.transport import Identity
from ramet.errors import CertificateError
from ramet.model.launch import Launch
from ramet.model.topology import Application


def identity_of(launch: Launch, application: Application) -> Identity | None:
    """None where calls stay on this machine. Raises CertificateError: no door to the network opens without one."""
    if not launch.certificates:
        if launch.calls_host is not None and launch.calls_host not in {"127.0.0.1", "::1", "localhost"}:
            raise CertificateError(
                f"{launch.instance} would take calls on {launch.calls_host} without a certificate",
                hint=f"ramet certs issue {launch.service} --app {application.name}",
            )
        return None
    folder = Path(launch.certificates)
    identity = Identity(folder / "authority.pem", folder / f"{launch.service}.pem", folder / f"{launch.service}.key")
    for path in (identity.authority, identity.certificate, identity.key):
        if not path.exists():
            raise CertificateError(
                "there is no such file", where=str(path), hint=f"ramet certs issue {launch.service} --app {application.name}"
            )
    return identity
