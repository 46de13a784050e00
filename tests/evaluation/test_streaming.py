"""From images to features: each once, in order, in any batches; and what other programs get."""

import numpy as np
import pytest
from PIL import Image

from evaluation.streams import Colours, Counted, mean_colour, words
from t2i_jax.evaluation import exchange, streaming
from t2i_jax.evaluation.extractors.base import TEXT, DualEncoder
from t2i_jax.evaluation.image_sets import CAPTIONS, Drawn, Files


def test_every_image_once_and_in_order(tmp_path):
    images = Counted(Colours(23))
    store = streaming.extracted(images, mean_colour(), tmp_path, batch_size=5)
    assert images.made == list(range(23))
    expected = Colours(23).images(0, 23).mean(axis=(1, 2))
    np.testing.assert_allclose(store.layer("mean")[:], expected, rtol=1e-6)
    again = streaming.extracted(images, mean_colour(), tmp_path, batch_size=7)
    assert images.made == list(range(23)), "what is there is not drawn again"
    assert again.folder == store.folder


def test_a_kill_loses_a_batch_at_most(tmp_path):
    images = Counted(Colours(23), fails_at=12)
    with pytest.raises(KeyboardInterrupt):
        streaming.extracted(images, mean_colour(), tmp_path, batch_size=5)
    done, images.fails_at = len(images.made), None
    store = streaming.extracted(images, mean_colour(), tmp_path, batch_size=5)
    assert images.made[done:] == list(range(10, 23))
    expected = Colours(23).images(0, 23).mean(axis=(1, 2))
    np.testing.assert_allclose(store.layer("mean")[:], expected, rtol=1e-6)


def test_other_networks_and_prompts_are_other_features(tmp_path):
    images, dual = (
        Colours(6),
        DualEncoder(images=mean_colour("embedding"), text=words, parts={}, source=""),
    )
    stores = [
        streaming.extracted(images, mean_colour(), tmp_path, 4),
        streaming.extracted(images, mean_colour(digest="b"), tmp_path, 4),
        streaming.extracted(images, dual, tmp_path, 4),
        streaming.extracted(images, dual, tmp_path, 4, prefix="A photo of "),
    ]
    assert len({store.folder for store in stores}) == 4
    text = stores[3].layer(TEXT)[:]
    np.testing.assert_array_equal(text, words(["A photo of " + c for c in images.captions(0, 6)]))


def test_samples_that_other_programs_read_come_back(tmp_path):
    images = Counted(Colours(7))
    for place in (tmp_path / "folder", tmp_path / "file.npz"):
        exchange.save(images, str(place), batch_size=3)
        found = Files(str(place))
        np.testing.assert_array_equal(found.images(0, 7), Colours(7).images(0, 7))
        assert found.captions(2, 4) == ["image 2", "image 3"] and len(found) == 7
        assert found.labels().tolist() == list(range(7))
    with np.load(tmp_path / "file.npz") as archive:
        assert archive["arr_0"].shape == (7, 8, 6, 3)
    assert Files(str(tmp_path / "folder"), 5).identity != Files(str(tmp_path / "folder")).identity


def test_captions_that_are_equal_are_one_class(tmp_path):
    texts = ["a", "b", "a"]
    drawn = Drawn(lambda *_: None, 5, texts, {})
    assert drawn.labels().tolist() == [0, 1, 0, 0, 1] and drawn.captions(1, 4) == ["b", "a", "a"]


def test_a_kill_while_writing_files_loses_a_batch_at_most(tmp_path):
    images = Counted(Colours(9), fails_at=6)
    with pytest.raises(KeyboardInterrupt):
        exchange.save(images, str(tmp_path), batch_size=3)
    assert len(list(tmp_path.glob("*.png"))) == 6
    images.fails_at, images.made = None, []
    exchange.save(images, str(tmp_path), batch_size=3)
    assert images.made == [6, 7, 8] and (tmp_path / CAPTIONS).exists()
    (tmp_path / "notes.png").write_bytes(b"")
    with pytest.raises(ValueError, match="holds other files, such as notes.png"):
        exchange.save(images, str(tmp_path), batch_size=3)


def test_files_that_cannot_be(tmp_path):
    with pytest.raises(FileNotFoundError, match="neither a folder of images nor an .npz"):
        Files(str(tmp_path / "nothing"))
    with pytest.raises(ValueError, match="no images in it"):
        Files(str(tmp_path))
    for i, size in enumerate([(4, 4), (4, 4), (5, 4)]):
        Image.new("RGB", size).save(tmp_path / f"{i}.png")
    with pytest.raises(ValueError, match="has 3 images; 4 are needed"):
        Files(str(tmp_path), 4)
    with pytest.raises(ValueError, match=r"2.png has 5 x 4 pixels, those before it 4 x 4"):
        Files(str(tmp_path)).images(0, 3)
    (tmp_path / "1.png").write_bytes(b"no image")
    with pytest.raises(ValueError, match="1.png: not a readable image"):
        Files(str(tmp_path)).images(0, 2)
    (tmp_path / CAPTIONS).write_text("one\n")
    with pytest.raises(ValueError, match="1 captions for 3 images"):
        Files(str(tmp_path))
    np.savez(tmp_path / "floats.npz", np.zeros((2, 4, 4, 3)))
    with pytest.raises(ValueError, match="'arr_0' is float64"):
        Files(str(tmp_path / "floats.npz"))
