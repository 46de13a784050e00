"""Training of DAMSM: a text encoder and an image encoder that find each other.

Xu et al., "AttnGAN" (CVPR 2018, arXiv 1711.10485), section 3.2, equations 7 to 13. Four terms, each
the cross-entropy of finding a row's partner among the global batch:

    word_captions       the caption of an image, by words and regions
    word_images         the image of a caption, by words and regions
    sentence_captions   the caption of an image, by sentence and whole image
    sentence_images     the image of a caption, by sentence and whole image

Two more, without weight unless asked for, are this library's (`t2i_jax.recipes.attribute_terms`):

    text_attributes     the image's attributes, by the sentence
    image_attributes    the same by the whole image
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from t2i_jax.encoders.attribute_head import AttributeHead
from t2i_jax.encoders.damsm import TextEncoder
from t2i_jax.encoders.inception_v3 import InceptionV3
from t2i_jax.losses import damsm as losses
from t2i_jax.recipes.attribute_terms import attribute_terms
from t2i_jax.recipes.base import EncoderRecipe
from t2i_jax.recipes.terms import Batch, Seen, Terms, Variables
from t2i_jax.types import IMAGES, LABEL, MASK, TOKENS, Text

_TRUNK = "inception"  # its name inside `t2i_jax.encoders.damsm.ImageEncoder`


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe(EncoderRecipe):
    """Terms of player ``net``.

    text, image: the encoders, of one embedding size. image is one of `t2i_jax.encoders.damsm`.
        Without `text`, words and sentences are those of the run's frozen text encoder, and the
        image encoder alone learns to fit them.
    form: of the word scores, "released" (all published encoders) or "paper", see
        `losses.damsm.word_scores`.
    gamma1, gamma2, gamma3: the paper's factors.
    attributes: what reads attributes off sentence and whole image, where their terms have weights.
    inception: a published Inception-v3 that the trunk of an ``image`` on one starts from.
    same_class: whether other rows of an image's class are its negatives too. False, as in the
        authors' code, leaves them out; sets without classes have none.
    """

    networks = {"text": ("net", "text"), "image": ("net", "image")}
    frozen_parts = {"inception": "inception"}
    starting_points = ("inception",)
    embeds = "net"

    image: nn.Module
    text: TextEncoder | None = None
    attributes: AttributeHead | None = None
    inception: InceptionV3 = None
    form: str = "released"
    gamma1: float = losses.GAMMA1
    gamma2: float = losses.GAMMA2
    gamma3: float = losses.GAMMA3
    same_class: bool = False

    def __post_init__(self):
        if self.text is not None and self.text.embedding != self.image.embedding:
            raise ValueError(
                f"text.embedding={self.text.embedding}, but image.embedding="
                f"{self.image.embedding}: set them to one size"
            )

    @property
    def reads(self) -> str:
        """Token ids, or what a frozen encoder makes of them."""
        return "words" if self.text is None else "tokens"

    def check(self, seen: Seen) -> None:
        """Raises ValueError where a frozen text encoder's vectors have another size."""
        if self.text is None and (size := seen.text.sentence.shape[-1]) != self.image.embedding:
            raise ValueError(
                f"image.embedding={self.image.embedding}, but the vectors of the frozen text "
                f"encoder have {size} numbers: set image.embedding={size}"
            )

    def init(self, key: jax.Array, seen: Seen) -> dict[str, Variables]:
        """``{"net": {collection: {"text": ..., "image": ...}}}``, text only where it is trained."""
        text_key, image_key = jax.random.split(key)
        image = self.image.init(image_key, seen.of(IMAGES)[:1], train=False)
        if "inception" in seen.frozen:
            image = _with_trunk(image, seen.frozen["inception"])
        made = {"image": image}
        if self.text is not None:
            made["text"] = self.text.init(text_key, *_caption(seen.batch))
        if self.attributes is not None:
            vector = jnp.zeros((1, self.image.embedding))
            made["attributes"] = self.attributes.init(jax.random.fold_in(key, 2), vector)
        kinds = {kind for variables in made.values() for kind in variables}
        return {
            "net": {
                kind: {name: v[kind] for name, v in made.items() if kind in v} for kind in kinds
            }
        }

    def encode(
        self, variables: Variables, seen: Seen, key: jax.Array | None = None, train: bool = False
    ) -> tuple[Text, tuple, dict]:
        """The batch's first captions and its images, and the new state of the image encoder.

        key: of the dropout masks, in training.
        """
        own = {
            name: {kind: tree[name] for kind, tree in variables.items() if name in tree}
            for name in ("text", "image")
        }
        text, rngs = seen.text, {"dropout": key} if train else None
        if self.text is not None:
            text = self.text.apply(own["text"], *_caption(seen.batch), rngs=rngs)
        moving = ["batch_stats"] if train else False
        image = self.image.apply(own["image"], seen.of(IMAGES), train=train, mutable=moving)
        features, moved = image if train else (image, {})
        return text, features, {kind: {"image": tree} for kind, tree in moved.items()}

    def terms(self, variables: Variables, seen: Seen, key: jax.Array) -> Terms:
        """The four terms and the image encoder's new statistics."""
        text, image, state = self.encode(variables, seen, key, train=True)
        common = {
            "labels": None if self.same_class else seen.batch.get(LABEL),
            "gamma3": self.gamma3,
            "axis_name": self.axis_name,
        }
        found = {}
        if self.on("net.word_captions") or self.on("net.word_images"):
            factors = {"gamma1": self.gamma1, "gamma2": self.gamma2, "form": self.form}
            pair = losses.word_losses(image.regions, text, **factors, **common)
            found |= dict(zip(("word_captions", "word_images"), pair, strict=True))
        if self.on("net.sentence_captions") or self.on("net.sentence_images"):
            pair = losses.sentence_losses(image.code, text.sentence, **common)
            found |= dict(zip(("sentence_captions", "sentence_images"), pair, strict=True))
        vectors = {"text_attributes": text.sentence, "image_attributes": image.code}
        found |= attribute_terms(self, variables, seen, vectors)
        return Terms({k: v for k, v in found.items() if self.on(f"net.{k}")}, {}, state)

    def embed(self, variables: Variables, seen: Seen) -> dict[str, tuple[jax.Array, jax.Array]]:
        """ "sentence": the vectors [B, E] of whole images and of sentences."""
        text, image, _ = self.encode(variables, seen)
        return {"sentence": (image.code, text.sentence)}


def _caption(batch: Batch) -> tuple[jax.Array, jax.Array]:
    return batch[TOKENS][:, 0], batch[MASK][:, 0]


def _with_trunk(variables: Variables, trunk: Variables) -> dict[str, Any]:
    """The image encoder's variables with those of a published trunk; blocks of it that the encoder
    does not reach are left out.
    """

    def replaced(own, given):
        if not isinstance(own, Mapping):
            return jnp.asarray(given)
        return {name: replaced(tree, given[name]) for name, tree in own.items()}

    return {
        kind: {**tree, _TRUNK: replaced(tree[_TRUNK], trunk[kind])} if _TRUNK in tree else tree
        for kind, tree in variables.items()
    }
