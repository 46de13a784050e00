"""Training of a text encoder by structured joint embedding, Reed et al. (CVPR 2016), section 4.

``pairs="image"`` is the paper's objective: a caption and its image, in both directions (DS-SJE; the
asymmetric DA-SJE is weight 0 for ``net.text_to_image``). ``pairs="captions"`` is how the authors
trained the COCO encoder of GAN-INT-CLS (ICML 2016): between two captions of an image, without the
image.

The surrogate of the 0/1 loss is by default that of the authors' code, the sum over the wrong
classes. The paper's maximum over them (``surrogate="max"``), with one sample a class in place of
the paper's expectation over all of them, drove the vectors together (a loss of 1 in each direction,
accuracies near chance) from every start that was tried, with fixed image features too.

Departures from both: rows of the same class are never each other's negatives (with batches of
distinct classes there are none); and the image network is this library's own, the precomputed
features being used where the batch holds them.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Literal

import jax
import jax.numpy as jnp

from t2i_jax import axis
from t2i_jax.choices import check_choice
from t2i_jax.encoders.attribute_head import AttributeHead
from t2i_jax.encoders.char_cnn_rnn import TextEncoder
from t2i_jax.encoders.small_image_net import SmallImageNet
from t2i_jax.losses.matching import matching_accuracy, structured_joint_embedding
from t2i_jax.recipes.attribute_terms import attribute_terms
from t2i_jax.recipes.base import EncoderRecipe
from t2i_jax.recipes.terms import Batch, Seen, Terms, Variables, apply_train
from t2i_jax.types import IMAGES, LABEL, MASK, TOKENS

FEATURES = "features"  # batch key: [B, E] float32 precomputed image features


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe(EncoderRecipe):
    """Terms of player ``net``: ``image_to_text`` and ``text_to_image``, or ``caption_to_caption``;
    and where weighted ``text_attributes`` and, with images, ``image_attributes``, see
    `t2i_jax.recipes.attribute_terms`.

    text: the encoder that is trained.
    image: the network trained with it; not used with features in the batch or captions as pairs.
    attributes: what reads attributes off both vectors, where their terms have weights.
    pairs: ``"image"`` or ``"captions"`` (needs batches with two captions an image).
    surrogate: ``"sum"`` (authors' code) or ``"max"`` (paper), see `structured_joint_embedding`.
    margin: of the hinge; 1 in the paper.

    A batch holds `TOKENS` [B, K, T], of which the first caption is taken (the first two with
    captions as pairs), `LABEL` [B] or none (then every row is a class of its own), and `IMAGES` or
    `FEATURES`.
    """

    networks = {"text": ("net", "text"), "image": ("net", "image")}
    reads = "tokens"

    text: TextEncoder
    image: SmallImageNet = SmallImageNet()
    attributes: AttributeHead | None = None
    pairs: Literal["image", "captions"] = "image"
    surrogate: Literal["max", "sum"] = "sum"
    margin: float = 1.0

    def __post_init__(self):
        check_choice("pairs", self.pairs, ("image", "captions"))
        if self.pairs == "image" and self.text.embedding != self.image.embedding:
            raise ValueError(
                f"text and image vectors must be of one size: the text encoder's embedding is "
                f"{self.text.embedding}, the image network's {self.image.embedding}"
            )

    @property
    def embeds(self) -> str:
        """Images are compared where they are trained with."""
        return "net" if self.pairs == "image" else ""

    @property
    def scores(self) -> Mapping[str, Callable[[Any, Any], jax.Array]]:
        """ "sentence": products of vectors, as in the losses."""
        return {"sentence": lambda images, sentences: images @ sentences.T}

    def embed(self, variables: Variables, seen: Seen) -> dict[str, tuple[jax.Array, jax.Array]]:
        """ "sentence": the vectors [B, E] of images and of sentences.

        Raises ValueError where features in the place of images were trained with.
        """
        if "image" not in variables["params"]:
            raise ValueError("this run trained no image network: its batches held features")
        own = {
            name: {kind: tree[name] for kind, tree in variables.items() if name in tree}
            for name in ("text", "image")
        }
        tokens, mask = (x[:, 0] for x in self._captions(seen.batch))
        text = self.text.apply(own["text"], tokens, mask)
        return {
            "sentence": (
                self.image.apply(own["image"], seen.of(IMAGES), train=False),
                text.sentence,
            )
        }

    def init(self, key: jax.Array, seen: Seen) -> dict[str, Variables]:
        """``{"net": {"params": {"text": ..., "image": ...}, "batch_stats": {"image": ...}}}``;
        ``image`` only where the image network is used.
        """
        batch = seen.batch
        text_key, image_key = jax.random.split(key)
        tokens, mask = self._captions(batch)
        params = {"text": self.text.init(text_key, tokens[:, 0], mask[:, 0])["params"]}
        state = {}
        if self.attributes is not None:
            vector = jnp.zeros((1, self.text.embedding))
            head = self.attributes.init(jax.random.fold_in(key, 2), vector)
            params["attributes"] = head["params"]
        if self._uses_images(batch):
            variables = self.image.init(image_key, batch[IMAGES], train=False)
            params["image"] = variables["params"]
            state = {"batch_stats": {"image": variables["batch_stats"]}}
        return {"net": {"params": params, **state}}

    def terms(self, variables: Variables, seen: Seen, key: jax.Array) -> Terms:
        """Loss terms; accuracies within the global batch in percent; new batch statistics.

        `key` draws dropout masks.
        """
        batch = seen.batch
        tokens, mask = self._captions(batch)
        b, k, length = tokens.shape
        sentences = self.text.apply(
            {"params": variables["params"]["text"]},
            tokens.reshape(b * k, length),
            mask.reshape(b * k, length),
            rngs={"dropout": key},
        ).sentence.reshape(b, k, -1)
        if self.pairs == "captions":
            directions = {"caption_to_caption": (sentences[:, 1], sentences[:, 0])}
            state = {}
        else:
            images, state = self._image_vectors(variables, batch)
            directions = {
                "image_to_text": (images, sentences[:, 0]),
                "text_to_image": (sentences[:, 0], images),
            }
        own = axis.local(jnp.arange(b * axis.size(self.axis_name)), self.axis_name)
        classes = batch.get(LABEL)
        negatives = None
        if classes is not None:
            negatives = classes[:, None] != axis.gather(classes, self.axis_name)
        terms, metrics = {}, {}
        for name, (queries, candidates) in directions.items():
            # A device's rows against the global batch: the mean over devices is the global loss.
            candidates = axis.gather(candidates, self.axis_name)
            if self.on(f"net.{name}"):
                terms[name] = structured_joint_embedding(
                    queries,
                    candidates,
                    own,
                    surrogate=self.surrogate,
                    margin=self.margin,
                    negatives=negatives,
                )
            metrics[f"accuracy_{name}"] = matching_accuracy(
                queries, candidates, own, negatives=negatives
            )
        vectors = {"text_attributes": sentences[:, 0]}
        if self.pairs == "image":
            vectors["image_attributes"] = images
        terms |= attribute_terms(self, variables, seen, vectors)
        return Terms(terms, metrics, state)

    def _captions(self, batch: Batch) -> tuple[jax.Array, jax.Array]:
        """The captions to encode and their mask, each [B, 1 or 2, T]."""
        tokens, mask = batch[TOKENS], batch.get(MASK)
        count = 2 if self.pairs == "captions" else 1
        if tokens.ndim != 3 or tokens.shape[1] < count:
            raise ValueError(
                f"batch[{TOKENS!r}] must be [B, K, T] with K >= {count} captions an image for "
                f"pairs={self.pairs!r} (data.captions={count}), not {tokens.shape}"
            )
        tokens = tokens[:, :count]
        return tokens, tokens > 0 if mask is None else mask[:, :count]

    def _uses_images(self, batch: Batch) -> bool:
        return self.pairs == "image" and FEATURES not in batch

    def _image_vectors(self, variables: Variables, batch: Batch) -> tuple[jax.Array, dict]:
        """Image vectors [B, E] and the image network's new statistics."""
        if not self._uses_images(batch):
            features = batch[FEATURES]
            if features.shape[-1] != self.text.embedding:
                raise ValueError(
                    f"batch[{FEATURES!r}] holds vectors of {features.shape[-1]}, the text "
                    f"encoder's embedding is {self.text.embedding}"
                )
            return features, {}
        own = {
            "params": variables["params"]["image"],
            "batch_stats": variables["batch_stats"]["image"],
        }
        vectors, state = apply_train(self.image, own, batch[IMAGES])
        return vectors, {"batch_stats": {"image": state["batch_stats"]}}
