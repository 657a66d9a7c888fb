"""`ramet gate replay`: a recorded gate, tick by tick, its verdict, and what another policy would have said."""

import json
from pathlib import Path

import pytest

from ramet.cli.main import run
from ramet.model.gates.policy import Policy
from ramet.model.gates.recordings import record
from ramet.model.gates.samples import Sample, Side, Signal

HEALTHY = [(Side(20), Side(180, errors=1))] * 10
QUIET = (Side(20), Side(180))
BROKEN = [QUIET, (Side(20, errors=2, slow=1), Side(180, errors=1)), (Side(20, errors=3), Side(180)), *[QUIET] * 10]


def written(folder: Path, *sides: tuple[Side, Side], signals: tuple[Signal, ...] = (), policy: Policy | None = None) -> Path:
    """One sample a minute, the signals in the last one; times as of a clock that has run for long."""
    samples = [
        Sample(
            since_s=5000 + 60 * i,
            at_s=5060 + 60 * i,
            weight=0.1,
            new=new,
            old=old,
            signals=signals if i == len(sides) - 1 else (),
        )
        for i, (new, old) in enumerate(sides)
    ]
    file = folder / "gate.jsonl"
    file.write_bytes(record(policy or Policy(), samples))
    return file


def test_a_replay_prints_each_tick_the_evidence_and_the_verdict(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Up to the tick that ended it; what was recorded after that is only counted."""
    assert run(["gate", "replay", str(written(tmp_path, *BROKEN))]) == 1
    said = capsys.readouterr()
    rows = [line.split() for line in said.out.splitlines()]
    assert " ".join(rows[0]) == "new side old side evidence: new is worse"
    assert " ".join(rows[1]) == "at weight requests errors slow requests errors slow errors slow"
    assert " ".join(rows[2]) == "60 s 10 % 20 0 0 180 0 0 1 1"
    assert " ".join(rows[3][:10]) == "120 s 10 % 20 2 1 180 1 0"
    assert " ".join(rows[4][:10]) == "180 s 10 % 20 3 0 180 0 0"
    assert [rows[5][0], rows[5][1][0], rows[5][1][-1], *rows[5][-2:]] == ["errors", "▁", "█", "of", "40"]
    assert rows[6][0] == "slow"
    assert " ".join(rows[7]).startswith("fail: errors: 5 of 6 came from the new side, which had 10 % of the requests (e-value")
    assert len(rows) == 8
    assert said.err == "10 samples after that were not looked at\n"


@pytest.mark.parametrize(
    ("sides", "signals", "code", "kind"),
    [
        pytest.param(HEALTHY, (), 0, "pass", id="pass"),
        pytest.param(BROKEN, (), 1, "fail", id="fail"),
        pytest.param(HEALTHY[:3], (), 1, "undecided", id="undecided"),
        pytest.param([(Side(5), Side(180))] * 10, (), 1, "inconclusive", id="inconclusive"),
        pytest.param([(Side(), Side(180))] * 10, (), 1, "no_data", id="no data"),
        pytest.param([], (), 1, "no_data", id="no sample"),
        pytest.param(HEALTHY, (Signal("crash", "feed-2", "exit code 139"),), 1, "fail", id="crash"),
    ],
)
def test_the_exit_code_is_0_only_for_a_pass(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], sides, signals, code: int, kind: str
) -> None:
    """A script can ask; in words and as JSON it is the same verdict."""
    file = str(written(tmp_path, *sides, signals=signals))
    assert run(["gate", "replay", file]) == code
    words = capsys.readouterr().out.splitlines()[-1]
    assert run(["gate", "replay", file, "--json"]) == code
    shown = json.loads(capsys.readouterr().out)
    assert shown["verdict"]["kind"] == kind
    assert words == f"{kind}: {shown['verdict']['reason']}"
    assert shown["policy"]["alpha"] == 0.05
    assert [tick["new"]["requests"] for tick in shown["ticks"]] == [new.requests for new, _ in sides][: len(shown["ticks"])]
    assert all(tick["log10_e_worse"].keys() == {"errors", "slow"} for tick in shown["ticks"])
    assert [tick["verdict"] for tick in shown["ticks"]][-1:] == [kind] * bool(sides)


def test_a_signal_stands_below_its_tick(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of either side."""
    signals = (Signal("unready", "web-1", side="old"), Signal("crash", "feed-2", "exit code 139"))
    run(["gate", "replay", str(written(tmp_path, *HEALTHY[:1], signals=signals))])
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert lines[3:5] == ["unready of web-1 (old)", "crash of feed-2 (new): exit code 139"]


@pytest.mark.parametrize(
    ("options", "code", "kind"),
    [
        ([], 1, "fail"),
        (["--alpha", "1e-9"], 1, "inconclusive"),
        (["--alpha", "1e-9", "--bake", "60"], 1, "inconclusive"),
        (["--tolerance", "100", "--pass-ratio", "200"], 0, "pass"),
        (["--bake", "6000", "--alpha", "1e-9"], 1, "undecided"),
        (["--alpha", "1e-9", "--min-requests", "1000"], 1, "inconclusive"),
    ],
)
def test_another_policy_is_tried_on_the_same_samples(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], code: int, kind: str
) -> None:
    """What would have happened; the file stays as it is."""
    file = written(tmp_path, *BROKEN)
    before = file.read_bytes()
    assert run(["gate", "replay", str(file), "--json", *options]) == code
    assert json.loads(capsys.readouterr().out)["verdict"]["kind"] == kind
    assert file.read_bytes() == before


@pytest.mark.parametrize(
    ("content", "options", "said"),
    [
        (
            b"hello\n",
            [],
            ["not JSON", "[RM211]", "gate.jsonl:1", 'hint: the first line of a recording is {"gate":1,"policy":{}}'],
        ),
        (b'{"gate":1,"policy":{}}\n{}\n', [], ["missing required field", "gate.jsonl:2"]),
        (b'{"gate":1,"policy":{}}\n', ["--alpha", "0"], ["--alpha", "0"]),
        (b'{"gate":1,"policy":{}}\n', ["--tolerance", "50"], ["pass_ratio is 5.0, it must be above the tolerance"]),
        (None, [], ["gate.jsonl", "does not exist"]),
    ],
)
def test_what_cannot_be_read_or_asked_ends_with_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes | None, options: list[str], said: list[str]
) -> None:
    """With the file and the line on stderr, and nothing on stdout."""
    file = tmp_path / "gate.jsonl"
    if content is not None:
        file.write_bytes(content)
    assert run(["gate", "replay", str(file), *options]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert all(part in shown.err for part in said), shown.err
