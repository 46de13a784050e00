"""Protocols by name: a family and a number of samples, ``fid30k``, ``kid2k``, ``t2i_fid500``.

The family fixes network, resizing, reference, caption rule, truncation and the metric; without a
number it is the one of the papers. What the literature calls FID is several numbers that have
nothing to do with each other, hence several families.
"""

import dataclasses
import importlib
import re
import textwrap
from collections.abc import Callable

from t2i_jax.config import suggest
from t2i_jax.evaluation.metrics.clip_score import PREFIX
from t2i_jax.evaluation.protocols import scores
from t2i_jax.evaluation.protocols.base import Given, Measured, Needs, NumberProtocol

_NAME = re.compile(r"(?P<family>[a-z0-9_]*?[a-z])(?P<count>[1-9]\d*)(?P<thousand>k?)")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Family:
    """A protocol but for the number of samples.

    samples: the papers' number. score: makes the numbers of the features. needs: see `Needs`.
    least: samples without which it has no meaning.
    """

    description: str
    needs: Needs
    score: Callable[[Given], Measured]
    lower_is_better: tuple[str, ...] = ()
    least: int = 2


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Named:
    """A family with its number; a `NumberProtocol`."""

    name: str
    family: Family
    samples: int

    @property
    def description(self) -> str:
        return self.family.description

    @property
    def lower_is_better(self) -> tuple[str, ...]:
        return self.family.lower_is_better

    def needs(self) -> Needs:
        return dataclasses.replace(self.family.needs, samples=self.samples)

    def measure(self, given: Given) -> Measured:
        return self.family.score(given)


_PAPERS = 30_000  # what "30k" means in nearly all of the papers


def _fid(description: str, extractor: str, layer: str, **needs) -> Family:
    return Family(
        description=description,
        needs=Needs(
            **{"samples": _PAPERS, "extractor": extractor, "reference": "held_out"} | needs
        ),
        score=scores.frechet(layer, "fid"),
        lower_is_better=("fid",),
    )


def _is(description: str, extractor: str, layer: str, splits: int = 10, **needs) -> Family:
    needs = Needs(samples=_PAPERS, extractor=extractor, **needs)
    score = scores.inception(layer, splits)
    return Family(description=description, needs=needs, score=score, least=max(splits, 2))


def _dual(description: str, score: scores.Score, encoder: str = "", prefix: str = "") -> Family:
    needs = Needs(samples=_PAPERS, extractor=encoder, dual=True, prefix=prefix, rule="every")
    return Family(description=description, needs=needs, score=score, least=10)


FAMILIES = {
    "fid": _fid(
        "FID (Heusel et al., NeurIPS 2017) as StyleGAN and torch-fidelity measure it: the network "
        "of 2015-12-05, TensorFlow 1's resizing",
        "inception_2015",
        "2048",
    ),
    "pytorch_fid": _fid(
        "FID as pytorch-fid measures it: the network of 2015-12-05, half-pixel bilinear",
        "inception_2015:pytorch_fid",
        "2048",
    ),
    "clean_fid": _fid(
        "FID as clean-fid measures it (Parmar et al., CVPR 2022): the network of 2015-12-05, "
        "Pillow's bicubic",
        "inception_2015:clean",
        "2048",
    ),
    "t2i_fid": _fid(
        "FID of DM-GAN's table (CVPR 2019) and of most that followed: torchvision's network, "
        "captions of every test image in turn",
        "inception_torchvision",
        "2048",
        rule="every",
    ),
    "df_gan_fid": _fid(
        "FID of DF-GAN's release (CVPR 2022): t2i_fid with truncated noise, 0.88",
        "inception_torchvision",
        "2048",
        rule="every",
        truncation=0.88,
    ),
    "xmc_fid": _fid(
        "FID of XMC-GAN's tables (CVPR 2021): Keras' network, mirrored validation images",
        "inception_keras",
        "2048",
        mirrored=True,
    ),
    "bird_fid": _fid(
        "FID of RAT-GAN's table on CUB: the network of StackGAN's Inception Score",
        "inception_birds",
        "2048",
    ),
    "flower_fid": _fid(
        "FID of RAT-GAN's table on flowers: the network of StackGAN's Inception Score",
        "inception_flowers",
        "2048",
    ),
    "is": _is(
        "Inception Score (Salimans et al., NeurIPS 2016) of ImageNet's network: COCO's tables",
        "inception_2015",
        "logits_unbiased",
    ),
    "bird_is": _is(
        "Inception Score of StackGAN's and AttnGAN's tables on CUB: fine-tuned on 50 test birds",
        "inception_birds",
        "logits",
        rule="every",
    ),
    "flower_is": _is(
        "Inception Score of StackGAN's table on flowers: fine-tuned on 20 test flowers",
        "inception_flowers",
        "logits",
        rule="every",
    ),
    "xmc_is": _is(
        "Inception Score of XMC-GAN's tables: Keras' network, one split",
        "inception_keras",
        "logits",
        splits=1,
    ),
    "kid": Family(
        description="KID (Bińkowski et al., ICLR 2018): 100 subsets of 1,000",
        needs=Needs(samples=_PAPERS, extractor="inception_2015", reference="held_out"),
        score=scores.kernel("2048", "kid"),
        lower_is_better=("kid",),
    ),
    "prdc": Family(
        description="precision and recall (k = 3), density and coverage (k = 5), of the features "
        "of the network of 2015-12-05",
        needs=Needs(samples=10_000, extractor="inception_2015", reference="held_out"),
        score=scores.covering("2048"),
        least=6,
    ),
    "r_precision": _dual(
        "R-precision of AttnGAN's table (CVPR 2018): the own caption first of 100, by --encoder",
        scores.first_of_a_hundred,
    ),
    "clip_r_precision": _dual(
        "R-precision by CLIP ViT-B/32 (Park et al., 2021; TISE, ECCV 2022), which no GAN here was "
        "trained with",
        scores.first_of_a_hundred,
        "clip",
    ),
    "clip_score": _dual(
        "CLIPScore (Hessel et al., EMNLP 2021): 2.5 times the cosine, with its prompt",
        scores.matching(weighted=True),
        "clip",
        PREFIX,
    ),
    "similarity": _dual(
        "the mean cosine of image and caption by --encoder, no prompt, no weight",
        scores.matching(weighted=False),
    ),
    "object_accuracy": Family(
        description="share of images in which EfficientNet-Lite0 sees a bird: probability of "
        "ImageNet's 59 bird classes above one half",
        needs=Needs(samples=1_000, extractor="efficientnet_lite0"),
        score=scores.objects("logits", "object_accuracy"),
    ),
    "frechet": Family(
        description="Fréchet distance of the features of --features; no FID",
        needs=Needs(samples=_PAPERS, reference="held_out"),
        score=scores.frechet("", "frechet_distance"),
        lower_is_better=("frechet_distance",),
    ),
    "kernel": Family(
        description="kernel distance of the features of --features; no KID",
        needs=Needs(samples=_PAPERS, reference="held_out"),
        score=scores.kernel("", "kernel_distance"),
        lower_is_better=("kernel_distance",),
    ),
    "covering": Family(
        description="precision, recall, density and coverage of the features of --features",
        needs=Needs(samples=10_000, reference="held_out"),
        score=scores.covering(""),
        least=6,
    ),
}


def load(name: str) -> NumberProtocol:
    """The protocol of that name, or ``package.module:Class`` of a protocol of one's own, made
    without arguments.

    Raises ValueError for an unknown one.
    """
    if ":" in name:
        module, _, attribute = name.partition(":")
        try:
            return getattr(importlib.import_module(module), attribute)()
        except (ImportError, AttributeError) as error:
            raise ValueError(f"protocol {name!r}: {error}") from error
    family, samples = _parts(name)
    if family is None:
        raise ValueError(f"no protocol {name!r}{suggest(name, FAMILIES)}")
    if samples < (least := FAMILIES[family].least):
        raise ValueError(f"protocol {name!r}: at least {least} samples are needed")
    return _Named(name=f"{family}{_short(samples)}", family=FAMILIES[family], samples=samples)


def is_name(name: str) -> bool:
    """Whether `load` may know it."""
    return ":" in name or _parts(name)[0] is not None


_READ = (
    *("seed", "step", "watch", "data_dir", "split", "captions_file", "batch_size"),
    *("weights", "extractor_batch_size", "images", "save_samples"),
)


def reads(name: str) -> tuple[str, ...]:
    """The options of the command line that the protocol looks at."""
    needs = load(name).needs()
    if needs.dual:
        return _READ if needs.extractor else (*_READ, "encoder")
    return _READ if needs.extractor else (*_READ, "features")


def listing() -> str:
    """All families in lines, for ``--help``."""
    lines = []
    for name, family in FAMILIES.items():
        text = f"{name}{_short(family.needs.samples)}: {family.description}"
        lines += textwrap.wrap(text, 98, initial_indent="  ", subsequent_indent="      ")
    return "\n".join(lines)


def _parts(name: str) -> tuple[str | None, int]:
    if name in FAMILIES:
        return name, FAMILIES[name].needs.samples
    found = _NAME.fullmatch(name)
    if found is None or found["family"] not in FAMILIES:
        return None, 0
    return found["family"], int(found["count"]) * (1000 if found["thousand"] else 1)


def _short(count: int) -> str:
    return f"{count // 1000}k" if count % 1000 == 0 else str(count)
