"""The command line of exports and the model card: what is printed, written and refused."""

import os
import pathlib
import re
import subprocess
import sys
import time

import fake_hub
import numpy as np
import pytest
import yaml
from PIL import Image
from tiny_runs import ROOT, any_run, gan_run

from t2i_jax import Sampler, waiting
from t2i_jax.commands import export, sample
from t2i_jax.evaluation import results
from t2i_jax.evaluation.feature_store import digest
from t2i_jax.exporting import hub, package, stablehlo
from t2i_jax.training import runs, sealed

RED, BLUE = "a small red bird", "a blue bird"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """With all that the training of a real run writes down."""
    folder = gan_run(tmp_path_factory.mktemp("runs") / "birds", steps=[2])
    data = {"name": "toy_birds/side64", "split": "train", "path": "/home/ada/data"}
    sealed.write(folder / "data.json", {**data, "records": 1234, "digest": "cafe0123"})
    start = {"devices": "1 x Sloth", "processes": 1, "code": "abc123", "command": ["/home/ada"]}
    start |= {"from_step": 0, "to_step": 2, "device_hours": 1.5}
    total = {"hours": 1.5, "device_hours": 1.5, "images": 128}
    sealed.write(folder / "provenance.json", {"total": total, "starts": [start]})
    (folder / "samples").mkdir()
    Image.new("RGB", (40, 30), "red").save(folder / "samples" / "step_00000002.png")
    return folder


def add(folder, protocol, value, **fields):
    record = {"step": 2, "conditions": {"samples": 50, "seed": 3}, "lower_is_better": ["fid"]}
    values = {"fid": value, "fid_of_real": 5.0}
    results.append(
        folder / "evaluation", results.Record(protocol=protocol, values=values, **record | fields)
    )


def front_matter(card: str) -> dict:
    return yaml.safe_load(re.match(r"---\n(.*?)\n---\n", card, re.DOTALL)[1])


def test_files_and_what_is_printed(run, tmp_path, capsys):
    out = tmp_path / "birds"
    export.main([f"--workdir={run}", f"--out={out}", "--caption", RED, "--caption", "a réd bird"])
    printed = capsys.readouterr()
    files = {str(p.relative_to(out)) for p in out.rglob("*") if p.is_file()}
    assert files == set(package.FILES)
    wrote = [line for line in printed.out.splitlines() if line.startswith("wrote")]
    assert sorted(wrote) == sorted(f"wrote {out / name}" for name in files)
    (warning,) = [line for line in printed.err.splitlines() if line.startswith("warning")]
    assert warning.startswith("warning: caption 'a réd bird': unknown characters 'é'")
    with Image.open(out / "samples.png") as picture:
        assert picture.height > 2 * 32 and picture.width > 4 * 32


def test_a_long_wait_is_told(run, tmp_path, capsys, monkeypatch):
    """In a log, whatever is written."""
    monkeypatch.setattr(waiting, "FIRST", 0.01)
    monkeypatch.setattr(package, "write", lambda *_: time.sleep(0.2) or [])
    monkeypatch.setattr(stablehlo, "write", lambda *_: time.sleep(0.2) or [])
    export.main([f"--workdir={run}", f"--out={tmp_path / 'birds'}"])
    export.main([f"--workdir={run}", f"--out={tmp_path / 'birds'}", "--format=stablehlo"])
    told = capsys.readouterr().err
    assert f"exporting {run}: for 0:00:00" in told
    assert f"writing the generator of {run} as stablehlo: for 0:00:00" in told


def test_the_command_of_samples_draws_from_it(run, tmp_path):
    export.main([f"--workdir={run}", f"--out={tmp_path / 'birds'}"])
    drawn = []
    for source in (f"--workdir={run}", f"--pretrained={tmp_path / 'birds'}"):
        out = tmp_path / str(len(drawn))
        sample.main([source, f"--out={out}", "--caption", RED, "--num=2"])
        drawn.append({p.name: p.read_bytes() for p in out.iterdir()})
    assert drawn[0] == drawn[1] and len(drawn[0]) == 3


def test_the_card_of_a_run(run, tmp_path):
    add(run, "fid_of_these", 12.345, spreads={"fid": 0.5})
    weights = digest(runs.ema_records(run, 2))
    add(run, "fid_by_digest", 23.456, conditions={"run": {"weights": weights}, "samples": 7})
    add(run, "fid_of_another_step", 34.567, step=1)
    add(run, "fid_of_other_weights", 45.678, conditions={"run": {"weights": "beef"}})
    package.write(run, tmp_path / "birds", license="cc-by-4.0", captions=[BLUE], name="ada/birds")
    card = (tmp_path / "birds" / "README.md").read_text()
    fields = front_matter(card)
    assert fields.pop("tags") == ["text-to-image", "gan", "jax", "flax", "gan-int-cls"]
    assert fields == {
        "library_name": "t2i_jax",
        "pipeline_tag": "text-to-image",
        "license": "cc-by-4.0",
        "datasets": ["toy_birds"],
    }
    for told in ("1605.05396", "1,234", "`cafe0123`", "`abc123`", "1 x Sloth", "1.50 h", "128 im"):
        assert told in card, told
    assert "| 12.35 ± 0.5 | 5 |" in card and "| 50 samples; seed 3 |" in card
    assert "fid\\_by\\_digest" in card or "fid_by_digest" in card
    for other in ("34.57", "45.68", "/home/ada", str(run.parent)):
        assert other not in card, other


def test_an_edition_of_a_data_set_is_no_repository_of_a_user(tmp_path):
    """The Hub would link coco/side64 to what a user of that name has."""
    run = gan_run(tmp_path / "run", "data.name=coco/side64", steps=[1])
    package.write(run, tmp_path / "out")
    card = (tmp_path / "out" / "README.md").read_text()
    assert front_matter(card)["datasets"] == ["coco"] and "trained on coco/side64" in card


def test_the_three_lines_of_the_card_draw(run, tmp_path, monkeypatch):
    package.write(run, tmp_path / "birds", captions=BLUE)
    card = (tmp_path / "birds" / "README.md").read_text()
    code = re.search(r"```python\n(.*?)\n```", card, re.DOTALL)[1]
    assert code.count("\n") == 2
    monkeypatch.chdir(tmp_path)
    exec(code, found := {})
    shape = eval(re.search(r"uint8 (\[.*\])", code)[1])
    assert list(found["images"].shape) == shape == [4, 32, 32, 3]
    expected = Sampler.from_workdir(run).sample([BLUE], num=4)
    np.testing.assert_array_equal(found["images"], expected)


def test_a_card_does_not_guess(tmp_path):
    """No license, no data, no cost that nobody wrote down; no text where there is none."""
    run = any_run(tmp_path / "run", system="stack_gan_v2", arg="debug_unconditional")
    package.write(run, tmp_path / "out")
    card = (tmp_path / "out" / "README.md").read_text()
    fields = front_matter(card)
    assert "license" not in fields and fields["pipeline_tag"] == "unconditional-image-generation"
    assert "sampler.sample(num=4, seed=0)" in card and "Of a caption" not in card
    assert card.count("not written down") == 3 and "Nothing was measured" in card
    assert (tmp_path / "out" / "samples.png").exists()  # it needs no captions


def test_the_picture_is_the_trainings_own(run, tmp_path):
    package.write(run, tmp_path / "birds")
    with Image.open(tmp_path / "birds" / "samples.png") as picture:
        assert picture.size == (40, 30) and picture.getpixel((0, 0)) == (255, 0, 0)


def test_bad_arguments(run, tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("T2I_JAX_TRACEBACK", raising=False)
    common = [f"--workdir={run}", f"--out={tmp_path / 'out'}"]
    for more, message in (
        (["--private"], "--private is for --push_to_hub"),
        (["--format=onnx", "--license=mit"], "--license is for --format=package"),
        (["--push_to_hub=birds"], "'birds' is no name on the Hub: write USER/NAME"),
        (["--step=9"], "no whole checkpoint of step 9"),
        (["--license=MIT License"], "license 'MIT License': the Hub's names are of small letters"),
        (["--caption", "鳥"], "knows none of its characters"),
    ):
        with pytest.raises(SystemExit) as stopped:
            export.main([*common, *more])
        error = capsys.readouterr().err
        assert stopped.value.code == 2 and message in error.splitlines()[-1], error
    assert not (tmp_path / "out").exists()
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ValueError, match=r"pip install 't2i_jax\[hub\]'"):
        hub.folder("ada/birds")


def test_no_training_goes_on_in_it(run, tmp_path):
    from t2i_jax.training.plan import Plan

    package.write(run, tmp_path / "birds")
    with pytest.raises(ValueError, match="an exported folder, of which no training can go on"):
        Plan(runs.read_config(run), tmp_path / "birds", None, ())


# --- documents, and the Hub --------------------------------------------------------------------

IN_ANOTHER_PROCESS = """
import importlib, json, pathlib, re, shlex, sys
text = pathlib.Path(sys.argv[1]).read_text()
text = text.partition("## For programs without our code")[0]  # see tests/exporting
lines = re.sub(r"\\\\\\n\\s*", "", text).splitlines()
commands = [l.split() and shlex.split(l) for l in lines if l.startswith("    python -m t2i_jax.")]
assert len(commands) == 4, commands
for command in commands:
    print(command, flush=True)
    name = command[2].rpartition(".")[2]
    importlib.import_module(f"t2i_jax.commands.{name}").main(command[3:])
for code in re.findall(r"```python\\n(.*?)```", text, re.DOTALL):
    exec(code, found := {})
import numpy as np
from t2i_jax import Sampler, waiting
np.save("images.npy", found["images"])
print(Sampler.from_workdir("runs/birds").push_to_hub("ada/birds", license="mit"))
print(Sampler.from_pretrained("ada/birds", token="hf_test").push_to_hub("ada/copy"))
for asked in (("ada/none",), ("ada/birds", "nowhere")):
    try:
        Sampler.from_pretrained(*asked)
    except OSError as error:
        print("refused:", error)
"""


def test_commands_of_the_document_with_a_hub(run, tmp_path):
    """Everything that docs/sharing.md says to type, with the real client of the Hub's HTTP API."""
    pytest.importorskip("huggingface_hub")
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "birds").symlink_to(run)
    with fake_hub.serving() as served:
        environment = {
            **os.environ,
            "HF_ENDPOINT": served.endpoint,
            "HF_HUB_DISABLE_XET": "1",
            "HF_HOME": str(tmp_path / "hf"),
            "HF_TOKEN": fake_hub.TOKEN,
            "PYTHONPATH": str(ROOT),
            "JAX_COMPILATION_CACHE_DIR": str(ROOT / ".jax_cache"),
        }
        done = subprocess.run(
            [sys.executable, "-c", IN_ANOTHER_PROCESS, str(ROOT / "docs" / "sharing.md")],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr[-3000:]
    # What was drawn, of the folder and of the Hub's copy.
    expected = Sampler.from_workdir(run).sample([RED], num=4, seed=0)
    np.testing.assert_array_equal(np.load(tmp_path / "images.npy"), expected)
    for folder, count in (("samples", 4), ("samples_of_hub", 1)):
        for k, path in enumerate(sorted((tmp_path / folder).glob("000_*.png"))):
            with Image.open(path) as image:
                np.testing.assert_array_equal(image, expected[k])
        assert k == count - 1
    # What the Hub has.
    birds = served.repos["ada/birds"]
    assert birds["private"] and not served.repos["ada/copy"]["private"]
    assert len(birds["commits"]) == 3 and set(served.messages) == {"Step 2, exported by t2i_jax"}
    held = served.files("ada/birds")
    assert set(held) == {*package.FILES, ".gitattributes"}
    shared = tmp_path / "birds_to_share"
    weights = held["model.safetensors"]
    assert weights == (shared / "model.safetensors").read_bytes()
    assert front_matter(held["README.md"].decode())["license"] == "mit"
    assert 'from_pretrained("ada/birds")' in held["README.md"].decode()
    assert served.files("ada/copy")["model.safetensors"] == weights
    refused = [line for line in done.stdout.splitlines() if line.startswith("refused:")]
    assert "RepositoryNotFoundError" in refused[0] and "RevisionNotFoundError" in refused[1]
    assert set(served.files("ada/copy")) == set(held)


def test_a_push_takes_away_what_another_system_left(tmp_path, run, monkeypatch):
    """The tokenizer of a GAN with text, when one without takes its place."""
    huggingface_hub = pytest.importorskip("huggingface_hub")
    seen = {}

    class Api:
        def __init__(self, token):
            seen["token"] = token

        def create_repo(self, name, **asked):
            seen["create"] = (name, asked)

        def upload_folder(self, **asked):
            seen["upload"] = asked
            return type("Done", (), {"repo_url": "there"})

    monkeypatch.setattr(huggingface_hub, "HfApi", Api)
    package.write(run, tmp_path / "birds")
    assert hub.push(tmp_path / "birds", "ada/birds", token="secret") == "there"
    assert seen["token"] == "secret" and seen["upload"]["repo_id"] == "ada/birds"
    gone = {"tokenizer.json", "frozen/encoder.safetensors"}
    assert set(seen["upload"]["delete_patterns"]) == gone
    assert pathlib.Path(seen["upload"]["folder_path"]) == tmp_path / "birds"
