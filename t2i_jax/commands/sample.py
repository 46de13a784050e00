"""Draws images of captions from a trained run.

Or between two captions (--interpolate "A" "B"), between two seeds (--interpolate_noise 0 1), or in
the style of photos (--style photo.jpg --style_encoder=runs/style). Writes PNG files and grid.png.
Of photos themselves (--images photo.jpg --attention): where the discriminator looks in them.
"""

import argparse
import dataclasses
import io
import unicodedata
from collections.abc import Sequence

import numpy as np
from PIL import Image

import t2i_jax
from t2i_jax import paths, pictures
from t2i_jax.arguments import MANY, SEED, errors_in_a_line, real, warnings_in_a_line, whole
from t2i_jax.arguments import parser as command_parser
from t2i_jax.commands import captions
from t2i_jax.drawing import attention, given
from t2i_jax.waiting import Waiting

_IN_GRID = 64  # captions that the grid shows
_COLUMNS = 8  # of their images side by side
_ATTENTION = "attention"  # the extra that is drawn


_EXAMPLES = {
    "Eight pictures of a caption": "--workdir=runs/birds --num=8 --out=samples \\\n"
    '      --caption "a small red bird with black wings"',
    "From one caption to another, in twelve steps": "--workdir=runs/birds --num=12 \\\n"
    '      --interpolate "a red bird" "a blue bird"',
}


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    made = command_parser("sample", __doc__, _EXAMPLES)
    add = made.add_argument
    source = made.add_mutually_exclusive_group(required=True).add_argument
    source("--workdir", metavar="RUN", help="the run directory of a GAN, or an exported folder")
    source("--pretrained", metavar="NAME", help="an exported folder, here or USER/NAME on the Hub")
    add(
        "--caption",
        action="append",
        default=[],
        metavar="TEXT",
        help="what to draw; may be given several times",
    )
    add(
        "--captions_file",
        metavar="FILE",
        help="a text file with one caption a line; empty lines are skipped",
    )
    add(
        "--num",
        metavar="N",
        type=whole("num", 1, MANY),
        help="images of each caption (default: 1), or of each interpolation (default: 8)",
    )
    add(
        "--seed",
        metavar="N",
        type=whole("seed", 0, SEED),
        default=0,
        help="of the noise: the same seed gives the same images (default: %(default)s)",
    )
    add(
        "--out",
        default="samples",
        metavar="DIR",
        help="folder for the pictures (default: %(default)s)",
    )
    add(
        "--step",
        metavar="N",
        type=whole("step", 0, 2**31),
        help="of the checkpoint (default: the latest)",
    )
    add("--scale", metavar="N", help="a width in pixels, or 'all' (default: the highest)")
    add(
        "--batch_size",
        metavar="N",
        type=whole("batch_size", 1, 4096),
        default=16,
        help="images drawn at a time; does not change them (default: %(default)s)",
    )
    add(
        "--truncation",
        metavar="X",
        type=real("truncation", 100),
        help="cut the noise at +-2 and scale it by X, such as 0.88, for images that vary less "
        "(default: the noise as it is)",
    )
    add(
        "--extras",
        nargs="+",
        default=[],
        metavar="NAME",
        help="what the system has beside its images, such as attention: into NAME.npy",
    )
    add(
        "--attention",
        action="store_true",
        help="also draw, into attention.png, where each word of a caption was read in its image, "
        "or where the discriminator looks for the caption",
    )
    modes = made.add_mutually_exclusive_group()
    add = modes.add_argument
    add("--interpolate", nargs=2, metavar=("A", "B"), help="from one caption to another")
    add(
        "--interpolate_noise",
        nargs=2,
        type=whole("interpolate_noise", 0, SEED),
        metavar=("SEED_A", "SEED_B"),
        help="each caption, from the noise of one seed to that of another",
    )
    add("--style", nargs="+", metavar="PHOTO", help="each caption in the style of each photo")
    add(
        "--images",
        nargs="+",
        metavar="PHOTO",
        help="--attention and --extras of each caption with each photo, in place of drawn images; "
        "without captions: of a folder that has them (docs/data.md)",
    )
    add = made.add_argument
    add("--style_encoder", metavar="RUN", help="the run directory of a style encoder, for --style")
    add("--normalise", action="store_true", help="bring styles to the noise's usual norm")
    return made


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Arguments, `caption` with the lines of the captions file. Exits with status 2 where they do
    not fit each other.
    """
    command = parser()
    args = command.parse_args(argv)
    if args.pretrained is not None and args.step is not None:
        command.error("--step is for --workdir: an exported folder has one step")
    if bool(args.style) != bool(args.style_encoder):
        command.error("--style PHOTO... and --style_encoder=RUN need each other")
    if args.normalise and not args.style:
        command.error("--normalise is for --style")
    if args.style and not (args.caption or args.captions_file):
        command.error("--style needs what to draw: give --caption or --captions_file")
    if args.interpolate and (args.caption or args.captions_file):
        command.error("--interpolate has its own two captions; leave out --caption")
    if args.style and args.num is not None:
        command.error("--style draws one image for each caption and photo; leave out --num")
    if args.images and not (args.attention or args.extras):
        command.error("--images needs what to find in them: give --attention or --extras NAME")
    for flag in ("num", "scale", "truncation"):
        if args.images and getattr(args, flag) is not None:
            command.error(f"--{flag} is for images that are drawn; leave out --images")
    other = args.interpolate or args.interpolate_noise or args.style
    for flag, asked in (
        ("--truncation", args.truncation is not None),
        ("--extras", args.extras),
        ("--attention", args.attention),
    ):
        if asked and other:
            command.error(f"{flag} is for samples of captions; leave out the other modes")
    captions.add_lines(command, args)
    return args


def main(argv: Sequence[str] | None = None) -> None:
    """Draws and writes; exits with status 2 and one line where the user's input is wrong."""
    args = parse(argv)
    with errors_in_a_line(ValueError, OSError), warnings_in_a_line(t2i_jax.CaptionWarning):
        run(args)


@dataclasses.dataclass(frozen=True)
class _Row:
    """Images that belong together: a line of the grid.

    names: of the files, without their ending. images: for each scale [len(names), H, W, 3].
    """

    title: str
    names: list[str]
    images: tuple[np.ndarray, ...]


def run(args: argparse.Namespace) -> None:
    """Draws what the arguments ask for; prints the name of every file it wrote."""
    out = paths.path(args.out)  # a wrong one is told before anything is drawn
    photos = [given.photo(path) for path in args.style or ()]
    pairs = given.pairs(args.images or (), args.caption)
    with Waiting(f"reading {args.workdir if args.pretrained is None else args.pretrained}"):
        sampler = _sampler(args)
    if sampler.system.encoder is not None and not (args.caption or args.interpolate or args.images):
        raise ValueError("this run draws from captions: give --caption or --captions_file")
    header, extras = [], {}
    from t2i_jax.training.compilation_cache import kept  # jax, which --help does without

    with Waiting("compiling and drawing"), kept(args.workdir):
        if args.interpolate:
            rows = [_between_captions(sampler, args)]
        elif args.interpolate_noise:
            rows = _between_seeds(sampler, args)
        elif args.style:
            rows = _styled(sampler, args, photos)
            header = [("styles", pictures.grid(sampler.view(photos), columns=_COLUMNS))]
        elif args.images:
            rows, extras = _examined(sampler, args, pairs)
        else:
            rows, extras = _sampled(sampler, args)
    out = paths.folder(out)
    for row in rows:
        for images in row.images:
            scale = f"_{images.shape[2]}px" if len(row.images) > 1 else ""
            for name, image in zip(row.names, images, strict=True):
                _write(Image.fromarray(image), out / f"{name}{scale}.png")
    if args.attention:
        _write(_attention(sampler, rows, extras[_ATTENTION]), out / "attention.png")
    for name in args.extras:
        stored = io.BytesIO()
        np.save(stored, extras[name])
        paths.write_bytes(out / f"{name}.npy", stored.getvalue())
        print(f"wrote {out / name}.npy {extras[name].shape}")
    if len(rows) > _IN_GRID:
        print(f"grid.png shows the first {_IN_GRID} of {len(rows)}")
    _write(_grid(rows[:_IN_GRID], header), out / "grid.png")


def _sampler(args: argparse.Namespace) -> "t2i_jax.Sampler":
    if args.pretrained is not None:
        return t2i_jax.Sampler.from_pretrained(args.pretrained, batch_size=args.batch_size)
    return t2i_jax.Sampler.from_workdir(args.workdir, args.step, args.batch_size)


def _sampled(sampler, args: argparse.Namespace) -> tuple[list[_Row], dict[str, np.ndarray]]:
    num, extras = 1 if args.num is None else args.num, {}
    asked = args.caption or None, args.seed, num, args.scale, args.truncation
    if names := _names(args):
        drawn, extras = sampler.sample(*asked, extras=names)
    else:
        drawn = sampler.sample(*asked)
    titles = args.caption or [""]
    rows = []
    for i, title in enumerate(titles):
        names = [f"{_stem(i, title)}_{k:02d}" for k in range(num)]
        rows.append(_Row(title, names, _scales(drawn, slice(i * num, (i + 1) * num))))
    return rows, extras


def _examined(
    sampler, args: argparse.Namespace, pairs: list[given.Given]
) -> tuple[list[_Row], dict[str, np.ndarray]]:
    photos, titles = [pair.photo for pair in pairs], [pair.caption for pair in pairs]
    extras = sampler.examine(photos, titles, _names(args))
    rows = [
        _Row(title, [_stem(i, title)], (image[None],))
        for i, (title, image) in enumerate(zip(titles, sampler.view(photos), strict=True))
    ]
    return rows, extras


def _names(args: argparse.Namespace) -> list[str]:
    """The extras that are asked for."""
    return [*args.extras, *([_ATTENTION] if args.attention else [])]


def _attention(sampler, rows: list[_Row], maps: np.ndarray) -> Image.Image:
    """The first images' words over them; `maps` are of all images, for each word of a caption or
    for captions as a whole.
    """
    titles = [row.title for row in rows for _ in row.names][:_IN_GRID]
    images = np.concatenate([row.images[-1] for row in rows])[:_IN_GRID]
    maps = maps[: len(images)]
    if maps.ndim == 3:
        return attention.picture(images, maps[..., None], [["the caption"]] * len(maps), titles)
    return attention.picture(images, maps, [sampler.words(title) for title in titles], titles)


def _between_captions(sampler, args: argparse.Namespace) -> _Row:
    steps = 8 if args.num is None else args.num
    drawn = sampler.interpolate(*args.interpolate, steps, args.seed, args.scale)
    names = [f"interpolation_{k:02d}" for k in range(steps)]
    return _Row(" / ".join(args.interpolate), names, _scales(drawn))


def _between_seeds(sampler, args: argparse.Namespace) -> list[_Row]:
    steps = 8 if args.num is None else args.num
    rows = []
    for i, title in enumerate(args.caption or [None]):
        drawn = sampler.interpolate_noise(title, *args.interpolate_noise, steps, args.scale)
        names = [f"{_stem(i, title or '')}_noise_{k:02d}" for k in range(steps)]
        rows.append(_Row(title or "", names, _scales(drawn)))
    return rows


def _styled(sampler, args: argparse.Namespace, photos: list[np.ndarray]) -> list[_Row]:
    drawn = sampler.transfer(photos, args.caption, args.style_encoder, args.normalise, args.scale)
    styles = [f"style_{k:02d}_{_slug(paths.path(path).stem)}" for k, path in enumerate(args.style)]
    rows = []
    for i, title in enumerate(args.caption):
        names = [f"{_stem(i, title)}_{style}" for style in styles]
        rows.append(_Row(title, names, _scales(drawn, i)))
    return rows


def _scales(drawn, part=slice(None)) -> tuple[np.ndarray, ...]:
    """Some of the drawn images, at every scale that was asked for."""
    return tuple(images[part] for images in (drawn if isinstance(drawn, tuple) else (drawn,)))


def _grid(rows: list[_Row], header: list[tuple[str, Image.Image]]) -> Image.Image:
    if not header and all(len(row.names) == 1 for row in rows):
        scales = [
            np.concatenate(parts) for parts in zip(*(row.images for row in rows), strict=True)
        ]
        return pictures.scales_grid(scales, [row.title for row in rows])
    lines = [
        (row.title, pictures.scales_grid(row.images, columns=min(len(row.names), _COLUMNS)))
        for row in rows
    ]
    return pictures.titled(header + lines)


def _slug(text: str) -> str:
    """Letters of any script, with their marks, and digits."""
    text = unicodedata.normalize("NFC", text.lower())
    kept = (c if c.isalnum() or unicodedata.category(c)[0] == "M" else " " for c in text)
    return "-".join("".join(kept).split())[:40].strip("-")


def _stem(index: int, caption: str) -> str:
    return f"{index:03d}_{_slug(caption)}".strip("_")


def _write(image: Image.Image, path: paths.Path) -> None:
    pictures.save(image, path)
    print(f"wrote {path}")
