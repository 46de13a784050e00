"""The command line of evaluation: files, what they say, messages."""

import json

import numpy as np
import pytest
from evaluation.tiny_subjects import encoder_run, unconditional_run
from PIL import Image
from tiny_runs import gan_run

from t2i_jax import Sampler
from t2i_jax.commands import evaluate
from t2i_jax.data import catalog
from t2i_jax.data.options import DataOptions
from t2i_jax.data.toy_birds import ATTRIBUTES
from t2i_jax.evaluation import toy_attributes, tsne
from t2i_jax.evaluation.extractors import pixels
from t2i_jax.evaluation.held_out import HeldOut


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    catalog.prepare("toy_birds", None, folder, num_images=200, size=32)
    return str(folder)


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    return gan_run(tmp_path_factory.mktemp("runs") / "gan")


@pytest.fixture
def run(tmp_path, capsys):
    """Runs the command; returns the result and what was printed."""

    def call(workdir, *argv, out="out"):
        folder = tmp_path / out
        argv = ["--protocol=tsne", f"--workdir={workdir}", f"--out={folder}", *map(str, argv)]
        evaluate.main(argv)
        printed = capsys.readouterr()
        assert sorted(p.name for p in folder.iterdir()) == ["tsne.json", "tsne.png"]
        assert printed.out.split() == f"wrote {folder}/tsne.png wrote {folder}/tsne.json".split()
        picture = np.asarray(Image.open(folder / "tsne.png"))
        return json.loads((folder / "tsne.json").read_text()), picture, printed.err

    return call


def test_end_to_end(run, workdir, data_dir):
    result, picture, err = run(workdir, f"--data_dir={data_dir}", "--num=12", "--seed=3")
    assert err == "drawing 12 images\n"
    held_out = HeldOut(DataOptions(name="toy_birds", data_dir=data_dir, size=32), seed=3)
    images = Sampler.from_workdir(workdir).sample(held_out.captions(12), seed=3)
    vectors = pixels.vectors(images)
    numbers = result.pop("collapse")
    assert numbers["compared"] == min(12, len(held_out))
    own = tsne.collapse_numbers(vectors[: numbers["compared"]], None)
    assert numbers["mean_distance_samples"] == pytest.approx(own["mean_distance_samples"])
    assert numbers["mean_distance_real"] > 0 and 0 <= numbers["near_copy_share"] <= 1
    assert result.pop("formulas") == tsne.FORMULAS
    assert result.pop("packages")["scipy"]
    assert result == {
        "protocol": "tsne",
        "workdir": str(workdir),
        "system": "gan_int_cls",
        "step": 2,
        "n": 12,
        "seed": 3,
        "captions": "toy_birds/test",
        "features": "pixels16",
        "features_description": "16 x 16 area-averaged colours in [0, 1]",
        "perplexity": pytest.approx(11 / 3),
        "random_state": 0,
    }
    shown = picture[-5 * 32 :, : 5 * 32]  # 12 images on 5 x 5 cells
    cells = shown.reshape(5, 32, 5, 32, 3).swapaxes(1, 2).reshape(25, -1)
    drawn = {tuple(image.reshape(-1)) for image in images}
    assert len(drawn) == 12 and drawn <= {tuple(cell) for cell in cells}


def test_batches_do_not_matter_and_earlier_checkpoints_can_be_asked_for(run, workdir, data_dir):
    same = ("--num=10", f"--data_dir={data_dir}")
    first = run(workdir, *same)[0]
    again = run(workdir, *same, "--batch_size=3", out="again")[0]
    assert again["collapse"] == pytest.approx(first["collapse"], rel=1e-3)
    result = run(workdir, *same, "--step=1", out="step")[0]
    assert result["step"] == 1 and result["collapse"] != first["collapse"]


def test_features_of_a_run(run, workdir, data_dir, tmp_path):
    encoder = encoder_run(tmp_path / "encoder")
    result, _, _ = run(workdir, "--num=8", f"--data_dir={data_dir}", f"--features={encoder}")
    assert result["features"] == "char_cnn_rnn"
    assert result["features_description"] == f"the image network of {encoder}, step 1, at 32 px"


def test_captions_of_a_file_need_no_data(run, workdir, tmp_path):
    listed = tmp_path / "captions.txt"
    listed.write_text("a red bird\n\na bl\u00fce bird\n")
    result, _, err = run(workdir, "--num=6", f"--captions_file={listed}")
    assert result["captions"] == str(listed)
    assert result["collapse"]["compared"] == 6
    assert result["collapse"]["mean_distance_real"] is None
    assert "warning: no comparison with real images" in err and "t2i_jax.prepare" in err
    assert "warning: captions read in part only: 1, such as caption 'a blüe bird'" in err
    captions = ["a red bird", "a bl\u00fce bird"] * 3
    with pytest.warns(UserWarning, match="unknown"):
        images = Sampler.from_workdir(workdir).sample(captions)
    own = tsne.collapse_numbers(pixels.vectors(images), None)
    assert result["collapse"] == pytest.approx(own)


def test_a_generator_without_text(run, data_dir, tmp_path):
    workdir = unconditional_run(tmp_path / "gan")
    result, _, _ = run(workdir, "--num=6")
    assert result["system"] == "stack_gan_v2" and result["captions"] == ""
    assert result["collapse"]["near_copy_share"] is None
    result, _, err = run(workdir, "--num=6", f"--data_dir={data_dir}", out="with_data")
    assert result["collapse"]["near_copy_share"] is not None and "warning" not in err


@pytest.mark.parametrize(
    "argv, message",
    [
        (["--workdir=/nowhere"], "no run directory"),
        (["--protocol=tnse"], "--protocol='tnse'; did you mean 'tsne'?"),
        (["--data_dir=/nowhere"], "t2i_jax.prepare"),
        ([], "is not prepared in nowhere"),
        (["--split=dev"], "no split 'dev'"),
        (["--step=7"], "no whole checkpoint of step 7"),
        (["--num=0"], "num=0"),
        (["--num=3"], "num=3: t-SNE needs at least 4"),
        (["--seed=-1"], "seed=-1"),
        (["--batch_size=0"], "batch_size=0"),
        (["--features=/nowhere"], "features='/nowhere' is neither 'pixels16', 'inception_2015'"),
        (["--captions_file=/nowhere.txt"], "nowhere.txt"),
        (["--captions_file=/dev/null"], "it has no captions"),
        (["--classifier=run"], "--classifier is not for --protocol=tsne"),
        (["--protocol=text_probe"], "--data_dir is not for --protocol=text_probe"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(workdir, data_dir, tmp_path, capsys, argv, message):
    usual = ["--protocol=tsne", f"--workdir={workdir}", f"--out={tmp_path / 'out'}"]
    usual += [f"--data_dir={data_dir}"] if argv else []
    with pytest.raises(SystemExit) as stopped:
        evaluate.main([*usual, *argv])
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("protocol", [["tsne"], ["toy_attributes", "--classifier=reader"]])
def test_a_run_that_draws_no_images(protocol, tmp_path, capsys):
    name, *options = protocol
    with pytest.raises(SystemExit):
        workdir = encoder_run(tmp_path / "encoder")
        evaluate.main([f"--protocol={name}", f"--workdir={workdir}", *options])
    assert "a run of 'char_cnn_rnn', which draws no images" in capsys.readouterr().err


def test_captions_for_a_run_without_text_are_refused(tmp_path, data_dir, capsys):
    workdir = unconditional_run(tmp_path / "gan")
    listed = tmp_path / "captions.txt"
    listed.write_text("a bird\n")
    argv = [f"--workdir={workdir}", f"--captions_file={listed}", f"--data_dir={data_dir}"]
    with pytest.raises(SystemExit):
        evaluate.main(["--protocol=tsne", f"--out={tmp_path / 'out'}", *argv])
    assert "trained without text" in capsys.readouterr().err


def test_attribute_accuracy(workdir, data_dir, tmp_path, capsys, monkeypatch):
    """With a classifier that knows nothing, whose answers count all the same."""
    reader = encoder_run(tmp_path / "reader", system="toy_attributes")
    monkeypatch.setattr(toy_attributes, "READABLE", 0.0)
    monkeypatch.setattr(toy_attributes, "CAPTIONS", 2)
    monkeypatch.setattr(toy_attributes, "SAMPLES", 3)
    out = tmp_path / "out"
    argv = ["--protocol=toy_attributes", f"--workdir={workdir}", f"--out={out}", "--num=20"]
    evaluate.main([*argv, f"--classifier={reader}"])
    printed = capsys.readouterr()
    assert printed.err == "drawing 20 images\ndrawing 6 images\n"
    assert "every stated colour right" in printed.out
    assert sorted(p.name for p in out.iterdir()) == ["toy_attributes.json", "toy_attributes.png"]
    result = json.loads((out / "toy_attributes.json").read_text())
    assert result["workdir"] == str(workdir) and result["step"] == 2 and result["n"] == 20
    assert result["classifier"] == str(reader) and set(result["attributes"]) == set(ATTRIBUTES)
    monkeypatch.setattr(toy_attributes, "READABLE", 1.1)
    with pytest.raises(SystemExit):
        evaluate.main([*argv, f"--classifier={reader}"])
    assert "reads no attribute" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        evaluate.main(argv)
    assert "needs --classifier=RUN" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        evaluate.main([*argv, f"--classifier={workdir}"])
    assert "has no part 'net'" in capsys.readouterr().err


def test_the_missing_extra_is_named(workdir, data_dir, tmp_path, capsys, monkeypatch):
    find = tsne.importlib.util.find_spec
    without = lambda name: None if name == "sklearn" else find(name)  # noqa: E731
    monkeypatch.setattr(tsne.importlib.util, "find_spec", without)
    argv = [f"--workdir={workdir}", f"--data_dir={data_dir}", f"--out={tmp_path / 'out'}"]
    with pytest.raises(SystemExit):
        evaluate.main(["--protocol=tsne", *argv])
    assert "pip install 't2i_jax[eval]'" in capsys.readouterr().err
