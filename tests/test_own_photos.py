"""The roads of docs/own_photos.md, each command in turn, on a dozen photos and tiny networks: no
classes, no boxes, no held-out split.
"""

import json
import re

import numpy as np
import pytest
from devices import use_devices
from PIL import Image
from tiny_runs import ROOT

from t2i_jax.commands import prepare, sample, train
from t2i_jax.interop import packages
from t2i_jax.training import runs

COLOURS = {"red": (220, 30, 30), "green": (30, 200, 40), "blue": (30, 40, 220)}
SHORT = ["data.size=16", "data.batch=4", "data.threads=1", "train.duration=2 steps"]
G = ["generator.channels=4", "discriminator.channels=4", "generator.noise_dim=4"]
ONE_SIZE = [*G, "generator.image_size=16", "discriminator.image_size=16"]
SIZES = {
    "char_cnn_rnn": [
        "text.conv_widths=(4,6)",
        "text.width=8",
        "text.embedding=12",
        "image.widths=(4,8,8,8)",
        "image.embedding=12",
    ],
    "damsm": [
        "text.word_dim=6",
        "text.embedding=12",
        "image.embedding=12",
        "image.widths=(4,6,8)",
        "image.local_stages=2",
    ],
    "gan_int_cls": [
        *(*G, "data.size=32", "generator.image_size=32", "discriminator.image_size=32"),
        *("generator.text_dim=8", "discriminator.text_dim=8"),
    ],
    "stack_gan_v1": [*ONE_SIZE, "generator.condition_dim=6", "discriminator.text_dim=6"],
    "stack_gan_v1_stage2": [
        "data.size=32",
        "generator.image_size=32",
        "generator.residual_blocks=1",
        "generator.channels=4",
        "generator.condition_dim=6",
        "discriminator.image_size=32",
        "discriminator.channels=4",
        "discriminator.text_dim=6",
    ],
    "attn_gan": [*G, "generator.condition_dim=6", "generator.base_size=8"],
}


@pytest.fixture(scope="module", autouse=True)
def one_device():
    with pytest.MonkeyPatch.context() as patch:
        use_devices(patch, 1)
        yield


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with prepared photos of a dozen squares, in ``data``."""
    place = tmp_path_factory.mktemp("own")
    photos = place / "squares"
    photos.mkdir()
    lines = []
    for i in range(12):
        name, colour = list(COLOURS.items())[i % 3]
        Image.new("RGB", (40 + i, 36), colour).save(photos / f"{i}.png")
        lines.append(json.dumps({"image": f"{i}.png", "caption": f"a {name} square, number {i}"}))
    (photos / "captions.jsonl").write_text("\n".join(lines))
    argv = ["--dataset=folder", f"--source={photos}", f"--data_dir={place / 'data'}"]
    assert prepare.main(argv) == 0
    return place


@pytest.fixture(scope="module")
def trained(place):
    """Trains a system on the photos where it is not yet: its run directory."""

    def trained(system: str, *options: str):
        workdir = place / system
        if not runs.is_run(workdir):
            assignments = [f"data.data_dir={place / 'data'}", *SHORT, *SIZES[system], *options]
            train.main(
                [
                    f"--config={ROOT}/configs/{system}.py:folder_small",
                    f"--workdir={workdir}",
                    *(f"--{a}" for a in assignments),
                ]
            )
        return workdir

    return trained


def check_samples(workdir, size: int) -> None:
    """The third command: as many pictures of the right size, of more than one colour."""
    out = workdir / "drawn"
    sample.main([f"--workdir={workdir}", "--caption=a red square", "--num=2", f"--out={out}"])
    pictures = [np.asarray(Image.open(p)) for p in sorted(out.glob("000_*.png"))]
    assert [p.shape for p in pictures] == [(size, size, 3)] * 2
    assert all(p.std() > 0 for p in pictures)
    assert (workdir / "samples" / "step_00000002.png").exists()


def test_captions_read_by_characters_learnt_on_them(trained, capfd):
    """The road that needs no download, and a stage on a stage."""
    text = trained("char_cnn_rnn")
    assert "data.sampling=auto: epoch, for folder/squares/train has no classes" in _said(capfd)
    reads = ["encoder.name=char_cnn_rnn", f"encoder.source={text}"]
    first = trained("stack_gan_v1", *reads)
    check_samples(trained("stack_gan_v1_stage2", f"frozen.stage1={first}", *reads), 32)


def test_words_of_an_encoder_trained_on_the_photos(trained, capfd):
    damsm = trained("damsm")
    assert "evals.names=('retrieval',) is left out, the latest checkpoint counts" in _said(capfd)
    assert runs.best_step(damsm) is None
    both = [f"encoder.source={damsm}", f"frozen.damsm={damsm}"]
    check_samples(trained("attn_gan", *both), 16)
    train.main([f"--config={ROOT}/configs/damsm.py:folder_small", *_again(trained, "damsm")])
    assert "nothing to do: 2 of 2 steps" in _said(capfd)  # the wish that was left out is no change


def _again(trained, system: str) -> list[str]:
    workdir = trained(system)
    options = [f"data.data_dir={workdir.parent / 'data'}", *SHORT, *SIZES[system]]
    return [f"--workdir={workdir}", *(f"--{option}" for option in options)]


def test_sentences_of_minilm(trained, capfd):
    if not packages.is_installed("minilm"):
        pytest.skip(packages.install("minilm"))
    workdir = trained("gan_int_cls")
    assert "data.sampling=auto: epoch, for folder/squares/train has no classes" in _said(capfd)
    assert runs.read_config(workdir).encoder.fields.width == 384
    check_samples(workdir, 32)


def test_what_was_asked_for_is_not_left_out(trained, capfd):
    """Evaluations that the user names need what they need."""
    options = _again(trained, "damsm")
    with pytest.raises(SystemExit):
        train.main(
            [
                f"--config={ROOT}/configs/damsm.py:folder_small",
                *options,
                "--evals.names=('retrieval',)",
            ]
        )
    said = _said(capfd)
    assert "has no split test or val" in said or "as many held-out images" in said


def test_more_in_a_batch_than_there_are(place, capfd):
    with pytest.raises(SystemExit):
        train.main(
            [
                f"--config={ROOT}/configs/char_cnn_rnn.py:folder_small",
                f"--workdir={place / 'none'}",
                f"--data.data_dir={place / 'data'}",
            ]
        )
    assert re.search(r"data.batch=24: .* set data.batch=1\d or less", _said(capfd))


def _said(capfd) -> str:
    printed = capfd.readouterr()
    return printed.out + printed.err
