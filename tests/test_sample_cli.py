"""The command line of sampling: files, their names and pixels, messages."""

import unicodedata

import numpy as np
import pytest
from PIL import Image
from tiny_runs import gan_run, style_run

from t2i_jax import Sampler
from t2i_jax.commands import sample
from t2i_jax.recipes.gan_int_cls import Recipe

RED, BLUE = "a small Red bird, with wings", "a blue bird"


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    return gan_run(tmp_path_factory.mktemp("runs") / "gan")


@pytest.fixture(scope="module")
def sampler(workdir):
    return Sampler.from_workdir(workdir)


@pytest.fixture
def draw(workdir, tmp_path, capsys):
    """Runs the command; returns the written pictures by name and what was printed."""

    def call(*argv):
        out = tmp_path / "out"
        sample.main([f"--workdir={workdir}", f"--out={out}", *map(str, argv)])
        printed = capsys.readouterr()
        files = {p.name: np.asarray(Image.open(p)) for p in sorted(out.iterdir())}
        assert {f"wrote {out / name}" for name in files} == {
            line for line in printed.out.splitlines() if line.startswith("wrote")
        }
        assert files["grid.png"].shape[0] > 32
        return {n: x for n, x in files.items() if n != "grid.png"}, printed

    return call


def test_one_file_an_image(draw, sampler):
    files, printed = draw("--caption", RED, "--caption", BLUE, "--num=2", "--seed=3")
    names = ["000_a-small-red-bird-with-wings", "001_a-blue-bird"]
    assert list(files) == [f"{name}_{k:02d}.png" for name in names for k in range(2)]
    np.testing.assert_array_equal(list(files.values()), sampler.sample([RED, BLUE], seed=3, num=2))
    assert printed.err == ""


@pytest.mark.parametrize(
    ("caption", "named"),
    [
        ("A red bird, with_wings!", "a-red-bird-with-wings"),
        ("小さな 鳥", "小さな-鳥"),
        ("लाल चिड़िया", "लाल-चिड़िया"),  # whose vowels are marks on letters
        ("../../etc/🐦", "etc"),
        ("é" * 200, "é" * 40),
    ],
)
def test_files_are_named_after_captions_of_any_script(caption, named):
    assert sample._stem(7, caption) == f"007_{unicodedata.normalize('NFC', named)}"


def test_captions_file_and_unknown_characters(draw, tmp_path, sampler):
    listed = tmp_path / "captions.txt"
    listed.write_bytes(f"\ufeff{RED}\r\n\r\nvögel\r\n".encode() + b"a b\xffrd\n")
    files, printed = draw("--captions_file", listed, "--step=1")
    assert list(files) == ["000_a-small-red-bird-with-wings_00.png", "001_vögel_00.png"] + [
        "002_a-b-rd_00.png"
    ]
    assert "warning: caption 'vögel': unknown characters 'ö'" in printed.err
    assert "warning: caption 'a b\ufffdrd': unknown characters" in printed.err
    assert (
        files["000_a-small-red-bird-with-wings_00.png"].tolist() != sampler.sample(RED)[0].tolist()
    )


def test_the_grid_is_bounded(draw, monkeypatch):
    monkeypatch.setattr(sample, "_IN_GRID", 2)
    files, printed = draw(*["--caption", RED] * 3)
    assert len(files) == 3 and "grid.png shows the first 2 of 3" in printed.out


def test_interpolations(draw, sampler, tmp_path):
    files, _ = draw("--interpolate", RED, BLUE, "--num=3", "--seed=1")
    assert list(files) == [f"interpolation_{k:02d}.png" for k in range(3)]
    np.testing.assert_array_equal(list(files.values()), sampler.interpolate(RED, BLUE, 3, seed=1))


def test_interpolation_of_noise(draw, sampler):
    files, _ = draw("--caption", BLUE, "--interpolate_noise", 4, 5, "--num=2", "--scale=all")
    assert list(files) == ["000_a-blue-bird_noise_00.png", "000_a-blue-bird_noise_01.png"]
    np.testing.assert_array_equal(list(files.values()), sampler.interpolate_noise(BLUE, 4, 5, 2))


def test_styles(draw, sampler, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    turned = Image.fromarray(np.rot90(pixels))  # as a camera held upright stores it
    exif = turned.getexif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise to show
    turned.save(tmp_path / "My photo.png", exif=exif)
    Image.fromarray(pixels[..., 0]).save(tmp_path / "grey.png")
    styles = style_run(tmp_path / "style")
    photos = [tmp_path / "My photo.png", tmp_path / "grey.png"]
    files, _ = draw("--caption", BLUE, "--style", *photos, f"--style_encoder={styles}")
    assert list(files) == [f"000_a-blue-bird_style_0{s}.png" for s in ("0_my-photo", "1_grey")]
    arrays = [pixels, np.repeat(pixels[..., :1], 3, axis=-1)]
    np.testing.assert_array_equal(list(files.values()), sampler.transfer(arrays, BLUE, styles)[0])


def test_truncated_noise(draw, sampler):
    files, _ = draw("--caption", BLUE, "--num=2", "--truncation=0.5")
    expected = sampler.sample(BLUE, num=2, truncation=0.5)
    np.testing.assert_array_equal(list(files.values()), expected)
    assert (expected != sampler.sample(BLUE, num=2)).any()


def test_extras_are_arrays_beside_the_pictures(tmp_path, capsys):
    workdir, out = gan_run(tmp_path / "gan", system="stack_gan_v2"), tmp_path / "out"
    argv = ["--caption", RED, "--caption", BLUE, "--num=2", "--seed=3", "--extras", "mu", "logvar"]
    sample.main([f"--workdir={workdir}", f"--out={out}", *argv])
    printed = capsys.readouterr().out
    images, extras = Sampler.from_workdir(workdir).sample(
        [RED, BLUE], seed=3, num=2, extras=["mu", "logvar"]
    )
    pictures = sorted(path for path in out.glob("*.png") if path.name != "grid.png")
    np.testing.assert_array_equal([np.asarray(Image.open(path)) for path in pictures], images)
    for name, array in extras.items():
        np.testing.assert_array_equal(np.load(out / f"{name}.npy"), array)
        assert array.shape[0] == 4 and f"wrote {out}/{name}.npy {array.shape}" in printed


@pytest.fixture
def looking(monkeypatch):
    """Runs find a map [N, H, W] in any image: its grey values and a number of the caption."""

    def examine(self, networks, seen, out):
        grey = out["images"][-1].mean(-1)
        return {"attention": 9.0 + grey + seen.text.sentence[:, :1, None]}

    monkeypatch.setattr(Recipe, "examine", examine)


def test_attention_of_drawn_and_of_given_images(workdir, sampler, looking, tmp_path):
    """Every caption with every photo, or each photo of a folder with its own."""
    photos = [np.random.default_rng(i).integers(0, 256, (40, 50, 3), np.uint8) for i in (0, 1)]
    folder = tmp_path / "photos"
    folder.mkdir()
    for i, photo in enumerate(photos):
        Image.fromarray(photo).save(folder / f"{i}.png")
    paths = [str(folder / f"{i}.png") for i in (0, 1)]

    def run(*argv):
        out = tmp_path / str(len(list(tmp_path.iterdir())))
        common = [f"--workdir={workdir}", f"--out={out}", "--attention", "--extras", "attention"]
        sample.main([*common, *argv])
        with Image.open(out / "attention.png") as picture:
            assert picture.height > 96
        files = sorted(p for p in out.glob("*.png") if p.name[0].isdigit())
        return np.load(out / "attention.npy"), np.stack([np.asarray(Image.open(p)) for p in files])

    found, images = run("--caption", RED, "--num=2")
    expected, extras = sampler.sample(RED, num=2, extras=["attention"])
    np.testing.assert_array_equal(images, expected)
    np.testing.assert_allclose(found, extras["attention"], rtol=1e-6)

    found, images = run("--images", *paths, "--caption", RED, "--caption", BLUE)
    np.testing.assert_array_equal(images, np.tile(sampler.view(photos), (2, 1, 1, 1)))
    np.testing.assert_allclose(
        found, sampler.examine(photos * 2, [RED, RED, BLUE, BLUE])["attention"]
    )
    assert found[0, 0, 0] != found[2, 0, 0] and found[0].tolist() != found[1].tolist()

    lines = [f'{{"image": "{i}.png", "captions": ["{c}", "x"]}}' for i, c in ((0, BLUE), (1, RED))]
    (folder / "captions.jsonl").write_text("\n".join(lines))
    of_folder, _ = run("--images", str(folder))
    np.testing.assert_allclose(of_folder, sampler.examine(photos, [BLUE, RED])["attention"])
    both, _ = run("--images", str(folder), "--caption", BLUE)
    np.testing.assert_allclose(both, sampler.examine(photos, BLUE)["attention"])
    with pytest.raises(ValueError, match="2 captions for 3 photos"):
        sampler.examine([*photos, photos[0]], [RED, BLUE])
    with pytest.raises(ValueError, match="no 'mask'; did you mean|no 'mask'; known: attention"):
        sampler.examine(photos, RED, ["mask"])


@pytest.mark.parametrize(
    "argv, message",
    [
        (["--caption="], "an empty caption"),
        (["--caption=鳥"], "knows none of its characters"),
        ([], "draws from captions: give --caption"),
        (["--caption=a", "--step=7"], "no whole checkpoint of step 7"),
        (["--caption=a", "--scale=64"], "this generator draws 32 px"),
        (["--caption=a", "--num=0"], "num=0"),
        (["--caption=a", "--workdir=/nowhere"], "no run directory"),
        (["--captions_file=/nowhere.txt"], "nowhere.txt"),
        (["--caption=a", "--style", "/nowhere.jpg", "--style_encoder=x"], "nowhere.jpg"),
        (["--caption=a", "--style", "photo.jpg"], "--style_encoder"),
        (["--style", "photo.jpg", "--style_encoder=x"], "give --caption"),
        (["--caption=a", "--interpolate", "a", "b"], "leave out --caption"),
        (["--caption=a", "--normalise"], "--normalise is for --style"),
        (["--caption=a", "--interpolate_noise", "0", "one"], "invalid int value"),
        (["--caption=a", "--extras", "attention"], "no 'attention'; this system has none"),
        (["--interpolate", "a", "b", "--extras", "mu"], "--extras is for samples of captions"),
        (["--interpolate", "a", "b", "--truncation=1"], "--truncation is for samples"),
        (["--caption=a", "--truncation=much"], "invalid float value"),
        (["--caption=a", "--truncation=0"], "truncation=0: must be above 0"),
        (["--caption=a", "--truncation=nan"], "truncation=nan: must be above 0"),
        (["--images", "x.png"], "--images needs what to find in them"),
        (["--images", "x.png", "--attention", "--num=2"], "--num is for images that are drawn"),
        (["--images", "/nowhere.png", "--attention"], "/nowhere.png has no caption"),
        (["--images", "/nowhere.png", "--attention", "--caption=a"], "nowhere.png"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(workdir, tmp_path, capsys, argv, message):
    with pytest.raises(SystemExit) as stopped:
        sample.main([f"--workdir={workdir}", f"--out={tmp_path / 'out'}", *argv])
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
