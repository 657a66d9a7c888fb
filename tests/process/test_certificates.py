"""The authority in a folder: issued once, renewed in time, never by two at once, and closed to everyone else."""

import datetime
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from ramet.errors import CertificateError
from ramet.process import certificates
from ramet.process.certificates import AUTHORITY_LIFE, SERVICE_LIFE, Authority

START = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)


class Clock:
    def __init__(self) -> None:
        self.now = START


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(certificates, "_now", lambda: made.now)
    return made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "certificates"


def read(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def serial(authority: Authority, service: str = "web") -> int:
    return read(authority.identity(service).certificate).serial_number


def belongs(authority: Authority, service: str) -> bool:
    """Whether the key on disk is that of the certificate, and the authority that of the folder."""
    identity = authority.identity(service)
    key = serialization.load_pem_private_key(identity.key.read_bytes(), None)
    certificate = read(identity.certificate)
    certificate.verify_directly_issued_by(read(identity.authority))
    return key.public_key() == certificate.public_key()


def test_a_certificate_names_its_service_and_nothing_more(folder: Path) -> None:
    """The URI is what the other end believes; it cannot issue others."""
    certificate = read(Authority.at(folder, app="shop").identity("web").certificate)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [name.value for name in names] == ["ramet://shop/service/web"]
    assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    authority = read(folder / "authority.pem").extensions.get_extension_for_class(x509.BasicConstraints).value
    assert (authority.ca, authority.path_length) == (True, 0)


@pytest.mark.parametrize(
    ("age", "is_renewed"),
    [(0 * DAY, False), (SERVICE_LIFE * 2 / 3 - DAY, False), (SERVICE_LIFE * 2 / 3 + DAY, True), (SERVICE_LIFE + DAY, True)],
    ids=["new", "a day before", "a third is left", "expired"],
)
def test_a_certificate_is_renewed_when_a_third_of_its_life_is_left(folder: Path, clock: Clock, age, is_renewed: bool) -> None:
    """So that a month without anyone looking breaks nothing."""
    authority = Authority.at(folder, app="shop")
    before = serial(authority)
    clock.now = START + age
    assert [each.is_renewable for each in authority.issued()] == [is_renewed]
    assert (serial(authority) != before) is is_renewed
    assert [each.is_renewable for each in authority.issued()] == [False]
    assert belongs(authority, "web")


def test_no_certificate_outlives_its_authority(folder: Path, clock: Clock) -> None:
    """It would be refused anyway, and nobody would know why."""
    authority = Authority.at(folder, app="shop")
    clock.now = START + AUTHORITY_LIFE - 10 * DAY
    assert read(authority.identity("web").certificate).not_valid_after_utc == authority.not_after


def test_an_expired_authority_is_refused(folder: Path, clock: Clock) -> None:
    """What it would issue nobody would believe."""
    Authority.at(folder, app="shop")
    clock.now = START + AUTHORITY_LIFE + DAY
    with pytest.raises(CertificateError, match="the authority expired on") as caught:
        Authority.at(folder, app="shop")
    assert caught.value.where == str(folder / "authority.pem")
    assert "ramet certs init" in (caught.value.hint or "")


def test_what_another_authority_issued_is_issued_again(tmp_path: Path, folder: Path) -> None:
    """After the authority was made anew, or a file was copied from elsewhere; with a key of its own."""
    ours, theirs = Authority.at(folder, app="shop"), Authority.at(tmp_path / "theirs", app="shop")
    copied = theirs.identity("web")
    (folder / "web.pem").write_bytes(copied.certificate.read_bytes())
    (folder / "web.key").write_bytes(copied.key.read_bytes())
    assert serial(ours) != serial(theirs)
    assert (folder / "web.key").read_bytes() != copied.key.read_bytes()
    assert belongs(ours, "web")


def test_a_lost_key_gives_a_new_certificate(folder: Path) -> None:
    """A certificate without its key is of no use."""
    authority = Authority.at(folder, app="shop")
    before = serial(authority)
    (folder / "web.key").unlink()
    assert serial(authority) != before
    assert belongs(authority, "web")


def test_the_authority_s_key_must_be_its_own(tmp_path: Path, folder: Path) -> None:
    """Two files from two backups."""
    Authority.at(folder, app="shop")
    Authority.at(tmp_path / "theirs", app="shop")
    (folder / "authority.key").write_bytes((tmp_path / "theirs" / "authority.key").read_bytes())
    with pytest.raises(CertificateError, match="does not belong to its certificate"):
        Authority.at(folder, app="shop")


@pytest.mark.parametrize("name", ["authority.pem", "authority.key"])
@pytest.mark.parametrize("content", [b"", b"nonsense", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_a_damaged_authority_is_named_and_kept(folder: Path, name: str, content: bytes) -> None:
    """It is not replaced in silence: then all other machines would refuse us."""
    Authority.at(folder, app="shop")
    (folder / name).write_bytes(content)
    with pytest.raises(CertificateError) as caught:
        Authority.at(folder, app="shop")
    assert caught.value.where == str(folder / name)
    assert caught.value.hint
    assert (folder / name).read_bytes() == content


def test_a_missing_authority_key_is_not_made_anew(folder: Path) -> None:
    """It would not belong to the certificate that others trust."""
    Authority.at(folder, app="shop")
    (folder / "authority.key").unlink()
    with pytest.raises(CertificateError, match="not a key"):
        Authority.at(folder, app="shop")
    assert not (folder / "authority.key").exists()


@pytest.mark.parametrize("name", ["", "authority", "../web", "Web", "a/b", "x" * 64, "web\n", "-web", "é"])
def test_a_service_s_name_cannot_lead_elsewhere(folder: Path, name: str) -> None:
    """It becomes a file's name and a part of a URI."""
    authority = Authority.at(folder, app="shop")
    before = sorted(folder.parent.rglob("*"))
    with pytest.raises(CertificateError, match="cannot name a service"):
        authority.identity(name)
    assert sorted(folder.parent.rglob("*")) == before


def test_keys_are_their_owner_s_alone(folder: Path) -> None:
    """Also where the user's umask lets everyone read, and also after a renewal."""
    authority = Authority.at(folder, app="shop")
    authority.identity("web")
    (folder / "web.pem").unlink()
    authority.identity("web")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.glob("*.key")} == {
        "authority.key": 0o600,
        "web.key": 0o600,
    }
    assert not list(folder.glob("*.part"))


def test_many_at_once_make_one_authority_and_one_certificate(folder: Path) -> None:
    """Two commands, or two machines on one folder: whoever comes second finds what the first made."""

    def issue(_: int) -> tuple[int, int]:
        authority = Authority.at(folder, app="shop")
        return read(folder / "authority.pem").serial_number, serial(authority)

    with ThreadPoolExecutor(16) as pool:
        assert len(set(pool.map(issue, range(64)))) == 1
    assert belongs(Authority.at(folder, app="shop"), "web")
