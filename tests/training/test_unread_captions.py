"""What the text encoder cannot read is said, or refused, before a training does any work."""

import pytest
from tiny_runs import ROOT

from t2i_jax import config as configs
from t2i_jax.data import catalog
from t2i_jax.training import build
from t2i_jax.training.plan import Plan

pytestmark = pytest.mark.usefixtures("one_device")

CHINESE = ["一只红色的小鸟", "白色的翅膀，黑色的头"]
# A GAN with a sentence cache and without, and both encoders' own trainings.
TRAININGS = {
    "gan_int_cls": [],
    "gan_int_cls uncached": ["encoder.cache=False"],
    "char_cnn_rnn": ["data.captions=2"],
    "damsm": [],
}


class Captioned:
    """A prepared split with other captions."""

    def __init__(self, source, captions):
        self._source, self._captions = source, captions

    def __len__(self):
        return len(self._source)

    def __getitem__(self, index):
        return {**self._source[index], "captions": self._captions(index)}

    def __getattr__(self, name):
        return getattr(self._source, name)


def training(name, data_dir, workdir, monkeypatch, captions):
    source = catalog.open_split("toy_birds", data_dir, "train")
    monkeypatch.setattr(catalog, "open_split", lambda *_: Captioned(source, captions))
    config = configs.load(f"{ROOT}/configs/{name.split()[0]}.py:debug")
    configs.override(
        config, [f"data.data_dir={data_dir}", *TRAININGS[name]], also=["data.captions"]
    )
    return Plan(config, workdir, None, ())


@pytest.mark.parametrize("name", TRAININGS)
def test_captions_of_which_nothing_is_read_end_a_training(name, data_dir, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="captions looked at|no caption has a word") as error:
        training(name, data_dir, tmp_path / "run", monkeypatch, lambda i: CHINESE)
    assert "give" in str(error.value) and "\n" not in str(error.value)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", TRAININGS)
def test_what_is_not_read_or_cut_is_said(name, data_dir, tmp_path, monkeypatch):
    def captions(index):
        texts = ["a café bird", "word " * 60] if index % 2 else ["a red bird"] * 2
        return [*texts, CHINESE[0]]

    notes = training(name, data_dir, tmp_path / "run", monkeypatch, captions).notes
    unknown, unread, cut = notes[-3:]
    count, part = (64, CHINESE[0]) if name == "damsm" else (96, "一")  # words, characters
    assert unknown.startswith(f"{count} of 192 captions") and f"{part!r} in 64" in unknown
    assert f"cannot be read at all: {CHINESE[0]!r}" in unread
    assert "are longer than tokenizer.length=" in cut


@pytest.mark.parametrize("name", ["gan_int_cls", "stack_gan_v2", "attn_gan"])
def test_an_encoder_without_a_tokenizer_is_refused(name):
    config = configs.load(f"{ROOT}/configs/{name}.py:debug")
    config.encoder.source, config.tokenizer.name = "random", ""
    config.frozen = {}
    with pytest.raises(ValueError, match="tokenizer.name is empty, but encoder.name="):
        build.build(config, captions=lambda: [["a bird"]])
