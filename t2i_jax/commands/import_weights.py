"""Makes a run directory of published weights, which is sampled like any other.

Fields of the run's config are options too, as in training: --generator.mask_order=tiled,
--tokenizer.length=25. docs/weights.md has the command for every family of published files.
"""

import argparse
from collections.abc import Sequence

from t2i_jax.arguments import errors_in_a_line
from t2i_jax.arguments import parser as command_parser

_EXAMPLES = {
    "AttnGAN's birds, from the authors' three files": "--system=attn_gan "
    "--generator=bird_AttnGAN2.pth \\\n      --text_encoder=text_encoder200.pth "
    "--captions=captions.pickle --workdir=runs/attn_gan_bird",
    "DF-GAN's birds": "--system=df_gan --generator=state_epoch_1220.pth \\\n"
    "      --text_encoder=text_encoder200.pth --captions=captions.pickle "
    "--workdir=runs/df_gan_bird",
}


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    usage = "%(prog)s --system=NAME --generator=FILE --workdir=RUN [--field=value ...]"
    made = command_parser("import-weights", __doc__, _EXAMPLES, usage=usage, allow_abbrev=False)
    add = made.add_argument
    add(
        "--system",
        required=True,
        metavar="NAME",
        help="whose weights they are: attn_gan, dm_gan, df_gan, ...; a file in t2i_jax/recipes",
    )
    add("--generator", required=True, metavar="FILE", help="the authors' file of the generator")
    add(
        "--discriminator",
        metavar="FILE",
        help="the authors' file of the discriminator, for systems whose samples show what it looks "
        "at; netD0.pth stands for netD1.pth, ... beside it too",
    )
    add(
        "--text_encoder",
        metavar="FILE",
        help="char-CNN-RNN (.t7), DAMSM's text encoder (.pth), a BERT (a folder of Hugging Face's) "
        "or a run that has a text encoder; without one the run is sampled from stored embeddings",
    )
    add(
        "--captions",
        metavar="FILE",
        help="the captions.pickle that was published with DAMSM's text encoder",
    )
    add(
        "--encoder",
        metavar="NAME",
        help="what --text_encoder is, a file in t2i_jax/encoders (default: char_cnn_rnn for a .t7 "
        "file, bert for a folder, else damsm)",
    )
    add("--workdir", required=True, metavar="RUN", help="the new run directory")
    return made


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Arguments; unknown options are overrides of the config's fields, in `overrides`."""
    args, args.overrides = parser().parse_known_args(argv)
    return args


def main(argv: Sequence[str] | None = None) -> None:
    """Imports; exits with status 2 and one line where the user's input is wrong."""
    args = parse(argv)
    from t2i_jax.interop import imported_run  # jax, which --help does without

    with errors_in_a_line(ValueError, OSError):
        imported_run.make(args)
