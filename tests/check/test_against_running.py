"""`ramet check --against running`: the code as it is now against the fleet that runs in this folder."""

from tests.cli.conftest import shop as shop  # noqa: PLC0414  (a fixture)
from tests.operate.app import Command


def test_what_runs_is_asked_what_it_promises(shop: Command) -> None:
    """Its release, as the controller has it: the files have changed since."""
    done = shop.run("check", "--against", "running")
    assert done.returncode == 2
    assert "nothing runs here" in done.stderr
    assert "hint: ramet up" in done.stderr
    shop.up("seed")
    done = shop.run("check", "--against", "running")
    assert (done.returncode, done.stdout) == (0, "")
    file = shop.folder / "shop" / "orders" / "api.py"
    file.write_text(file.read_text().replace("async def get(id: int)", "async def get(id: str)"))
    done = shop.run("check", "--against", "running")
    assert done.returncode == 1, done.stderr
    assert "RM720 change that breaks a deployed caller" in done.stdout
    assert "`orders.get` was changed: id: int is sent, the reader expects str; that breaks `front` (0, which runs)" in done.stdout
    assert "shop/orders/api.py:" in done.stdout
