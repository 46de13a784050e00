"""What tests/stress.py counts as a fault, and that its table says so."""

import json
import zlib

import pytest
from stress_kinds import ground
from stress_kinds.outcome import FAULTS, SILENT, TRACEBACK, UNNAMED, Outcome, judge, markdown, rows

NAMES = ("/run/tokenizer.json", "tokenizer.json")
SAID = "error: /run/tokenizer.json is damaged"
TRACE = f"Traceback (most recent call last):\n{SAID}"


@pytest.mark.parametrize(
    "status, printed, differs, how",
    [
        (2, SAID, [], "refused by name"),
        (2, "error: something is damaged", [], UNNAMED),
        (2, TRACE, [], TRACEBACK),
        (0, TRACE, [], TRACEBACK),
        (-11, "", [], TRACEBACK),
        (0, "step 8/8", ["weights differ"], SILENT),
        (0, "step 8/8", [], "same end"),
        (0, "tokenizer.json is missing: it is made anew", [], "rebuilt, said; same end"),
        (0, "tokenizer.json is missing: it is begun anew", ["metrics"], "what is lost was said"),
    ],
)
def test_how_a_damage_is_judged(status, printed, differs, how):
    assert judge(status, printed, NAMES, differs) == how


def test_an_older_checkpoint_must_be_told():
    told = "/run/checkpoints/6 is not a whole checkpoint\nresumed from step 4 in /run"
    names = ["/run/checkpoints/6/train/_METADATA", "/run/checkpoints/6"]
    assert judge(0, told, names, [], fell_back=True) == "older checkpoint, said; same end"
    assert judge(0, "", names, ["metrics differ"], fell_back=True) in FAULTS


def test_the_table_counts_every_kind():
    table = rows(
        [
            Outcome("killed", "kill 1", "goes on"),
            Outcome("killed", "kill 2", "lost something", False),
            Outcome("killed", "kill 3", "goes on"),
            Outcome("full disk", "no room", "a plain error"),
        ]
    )
    assert markdown(table).splitlines() == [
        "| trouble | tried | held | how it ended |",
        "| --- | --- | --- | --- |",
        "| killed | 3 | 2 | 2 goes on; 1 lost something |",
        "| full disk | 1 | 1 | 1 a plain error |",
    ]


@pytest.fixture
def run(tmp_path):
    """The files of a run that are looked at, by hand."""
    for name in ("ema/_METADATA", "train/_METADATA", "data/process_0.json", "config/config.json"):
        path = tmp_path / "checkpoints" / "8" / name
        path.parent.mkdir(parents=True)
        path.write_text("{}")
    digests = tmp_path / "checkpoints" / "8" / "digests" / "process_0.json"
    digests.parent.mkdir()
    digests.write_text(json.dumps({"leaves": {"ema": {"g": f"{zlib.crc32(b'g'):08x}"}}}))
    (tmp_path / "metrics.jsonl").write_text('{"step": 1, "g/total": 2.5}\n{"step": 2, "a": 1}\n')
    (tmp_path / "tokenizer.json").write_text("{}")
    (tmp_path / "config.json").write_text('{"generator": {"channels": 4}}')
    (tmp_path / "samples").mkdir()
    (tmp_path / "samples" / "step_8.png").write_bytes(b"picture")
    return tmp_path


@pytest.mark.parametrize(
    "name, old, new, said",
    [
        ("metrics.jsonl", "2.5", "2.6", "metrics differ: 1"),
        ("metrics.jsonl", '"step": 2', '"step": 1', "metrics differ: 1, 2"),
        ("metrics.jsonl", '2, "a"', '1, "g/total"', "a step's values stand twice"),
        ("metrics.jsonl", "2.5", "2.5.", "delimiter"),
        ("samples/step_8.png", "picture", "picturf", "pictures differ: step_8.png"),
        ("checkpoints/8/digests/process_0.json", '"g"', '"d"', "weights differ: ema"),
        ("tokenizer.json", "{}", "{ }", "tokenizer differ"),
        ("config.json", "4", "5", "config differ: channels"),
    ],
)
def test_what_a_run_left_is_compared(run, name, old, new, said):
    expected = ground.left(run)
    assert ground.differences(expected, run) == []
    path = run / name
    path.write_text(path.read_text().replace(old, new, 1))
    (line,) = ground.differences(expected, run)
    assert said in line


def test_what_was_left_behind_is_seen(run):
    expected = ground.left(run)
    assert expected["files"] >= {"checkpoints/8", "metrics.jsonl"}
    (run / "checkpoints" / "8" / "ema" / "another_name").touch()  # they are random
    assert ground.differences(expected, run) == []
    (run / "cache").mkdir()
    (run / "cache" / "123.npy").touch()
    (run / "checkpoints" / "9.orbax-checkpoint-tmp").mkdir()
    (run / "checkpoints" / "9.orbax-checkpoint-tmp" / "file").touch()
    (line,) = ground.differences(expected, run)
    assert line == ("files differ: cache/123.npy, checkpoints/9.orbax-checkpoint-tmp/file")
