"""The objective of XMC-GAN: a hinge loss, and contrastive losses by which D is an encoder as well.

Zhang et al. (CVPR 2021, arXiv 2101.04702), section 3.2 and 4. Means over the batch; x: real, s:
fake, e: the sentence, w: the words, f and r: D's features of an image and of its regions, NT: the
contrastive loss of `t2i_jax.losses.contrastive`.

D's terms                              G's terms
    real      max(0, 1 - D(x, e))          fake           -D(s, e)
    fake      max(0, 1 + D(s, e))          sentence       NT(f(s), e)
    sentence  NT(f(x), e)                  word           NT(r(s), w)
    word      NT(r(x), w)                  image          NT(f(x), f(s))
                                           image_network  NT(v(x), v(s))
                                           perceptual     mean square of v(x) - v(s)

v are features of a frozen network (the paper's is VGG-19). perceptual is what Table 6 compares with
image_network. All weights but its own are 1. D learns contrasts from real images alone. Besides the
losses, ``accuracy_<term>`` is logged: how often an image finds its partner, real images under "d",
fakes under "g".

D looks at the real and the fake images in one pass, after which its singular vectors move once.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from t2i_jax import types
from t2i_jax.choices import check_choice
from t2i_jax.losses import contrastive
from t2i_jax.losses.adversarial import hinge_fake, hinge_generator, hinge_real
from t2i_jax.losses.contrastive import Contrast, cosine_scores, nt_xent, word_scores
from t2i_jax.models.images import pyramid
from t2i_jax.models.xmc_gan import Discriminator, Generator, Made
from t2i_jax.models.xmc_gan_discriminator import Encoded, Features
from t2i_jax.recipes.base import GanRecipe
from t2i_jax.recipes.regularizers import augmented
from t2i_jax.recipes.terms import Judgement, Net, Seen, Terms, Variables, accuracies, no_noise

_OF_IMAGE_NETWORK = ("image_network", "perceptual")


class Looked(NamedTuple):
    """What D finds in a batch of images with their captions."""

    judged: Judgement
    encoded: Encoded


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe(GanRecipe):
    """Equations of XMC-GAN.

    image_network: a frozen network of images in [-1, 1] that gives vectors [B, F], or a tuple with
        such as its ``features`` (a classifier) or its ``code`` (DAMSM's image encoder).
    image_network_size: the side at which it looks at images; 0: its own, such as 224 px. For
        networks that resize images (a field ``image_size``).
    temperature, word_temperature: of the contrastive losses; the paper has one, the release 0.02
        for words.
    rho1, rho2: of the scores of words, see `losses.contrastive.word_scores`.
    directions: "image_to_text" (paper) or "both" (release), see `losses.contrastive.nt_xent`.
    group: rows that are each other's negatives; 0: the global batch (paper). The release has 8, a
        device's.
    """

    without_words = ("generator.attention=none", "loss.d.word=0", "loss.g.word=0")
    embeds = "d"
    frozen_parts = {**GanRecipe.frozen_parts, "image_network": "image"}
    trained_by = {**GanRecipe.trained_by, "image_network": "damsm"}

    generator: Generator
    discriminator: Discriminator
    image_network: nn.Module | None = None
    image_network_size: int = 0
    temperature: float = contrastive.TEMPERATURE
    word_temperature: float = contrastive.TEMPERATURE
    rho1: float = contrastive.RHO1
    rho2: float = contrastive.RHO2
    directions: str = "image_to_text"
    group: int = 0

    def __post_init__(self):
        super().__post_init__()
        sizes = [net.image_size for net in (self.generator, self.discriminator)]
        if sizes[0] != sizes[1]:
            raise ValueError(
                f"discriminator.image_size={sizes[1]}, but the generator makes {sizes[0]} px"
            )
        network, size = self.image_network, self.image_network_size
        if size and network is not None and not hasattr(network, "image_size"):
            raise ValueError(
                f"recipe.image_network_size={size}: {type(network).__name__} resizes no images, it "
                "looks at them as they are; set it to 0"
            )
        check_choice("directions", self.directions, contrastive.DIRECTIONS)
        for name in ("temperature", "word_temperature"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be above 0, got {getattr(self, name)}")

    @property
    def reads(self) -> str:
        """Sentences, where neither G attends to words nor a term compares them."""
        words = self.generator.reads == "words" or self.on("d.word") or self.on("g.word")
        return "words" if words else "sentence"

    def check(self, seen: Seen) -> None:
        """Also for the terms of the image network, without one."""
        super().check(seen)
        asked = [f"g.{name}" for name in _OF_IMAGE_NETWORK if self.on(f"g.{name}")]
        if asked and "image_network" not in seen.frozen:
            raise ValueError(
                f"the terms {asked} need a trained network of images: set frozen.image_network to "
                "a run (such as one of the config damsm) or to a weights file, or their weights to "
                "0: " + " ".join(f"loss.{name}=0" for name in asked)
            )

    def init(self, key: jax.Array, seen: Seen) -> dict[str, Variables]:
        """Variables of both players."""
        g_key, d_key = jax.random.split(key)
        text = jax.tree.map(lambda x: x[:1], seen.text)
        size = self.discriminator.image_size
        images = jnp.zeros((1, size, size, 3))
        noise, width = no_noise(self.noise_shapes), self._word_width(seen)
        return {
            "g": self.generator.init(g_key, noise, *text, train=False),
            "d": self.discriminator.init(d_key, images, text.sentence, width, train=False),
        }

    def _word_width(self, seen: Seen) -> int:
        """The width of word vectors; 0 where they are not read."""
        return seen.text.words.shape[-1] if self.reads == "words" else 0

    def init_frozen(self, name: str, key: jax.Array, seen: Seen) -> Variables:
        """Also an untrained image network."""
        if name != "image_network":
            return super().init_frozen(name, key, seen)
        return self.image_network.init(key, self.real_images(seen)[-1][:1], train=False)

    def generate(
        self, g_vars: Variables, seen: Seen, noise: Mapping[str, jax.Array], train: bool
    ) -> tuple[dict, dict]:
        """``out`` holds ``images``, a tuple of one, and ``attention``, see `Made`."""
        g = Net(self.generator, g_vars, train=train)
        made: Made = g(noise, *seen.text)
        return made._asdict(), g.state

    def real_images(self, seen: Seen, key: str = types.IMAGES) -> tuple[jax.Array, ...]:
        """At D's size."""
        return pyramid(seen.of(key), (self.discriminator.image_size,))

    def features(self, d: Net, images: tuple[jax.Array, ...]) -> Features:
        """D's features, which see no text."""
        return d(images, method="features")

    def judge(self, d: Net, features: Features, condition: jax.Array, real=True) -> Judgement:
        """The one logit; ``extra`` are the features of the sentence."""
        logits, vectors = d(features, condition, method="judge")
        return Judgement(fits=(logits,), extra=vectors)

    def look_at(
        self, d: Net, seen: Seen, out: Mapping[str, Any], kinds: Sequence[str]
    ) -> dict[str, Looked]:
        """What D finds in "real" and "fake" images, in one pass over all of these `kinds`."""
        images = {"real": self.real_images(seen), "fake": out["images"]}
        shown = [augmented(self, d, images[kind])[-1] for kind in kinds]
        features = self.features(d, (jnp.concatenate(shown),))
        sentence = jnp.concatenate([self.condition_of(seen, out)] * len(kinds))
        judged = self.judge(d, features, sentence)
        encoded = d(features, judged.extra, self._word_width(seen), method="encode")
        parts = [jnp.split(x, len(kinds)) for x in jax.tree.leaves((judged, encoded))]
        tree = jax.tree.structure((judged, encoded))
        found = [jax.tree.unflatten(tree, part) for part in zip(*parts, strict=True)]
        return {kind: Looked(*pair) for kind, pair in zip(kinds, found, strict=True)}

    def d_terms(self, d_vars: Variables, seen: Seen, out: dict, key: jax.Array) -> Terms:
        """D's terms; contrasts of real images alone."""
        d = self.critic(d_vars, key)
        looked = self.look_at(d, seen, out, ("real", "fake"))
        judged = {kind: found.judged for kind, found in looked.items()}
        losses = {}
        for kind, hinge in (("real", hinge_real), ("fake", hinge_fake)):
            if self.on(f"d.{kind}"):
                losses[kind] = jnp.mean(hinge(judged[kind].fits[0]))
        contrasts = self._with_text("d", looked["real"].encoded, seen)
        return self._terms(losses, contrasts, d, looked, accuracies(judged))

    def g_terms(
        self, d_vars: Variables, seen: Seen, out: dict, key: jax.Array, fakes=None
    ) -> Terms:
        """G's terms."""
        d, losses = self.critic(d_vars, key), {}
        if fakes is None:
            kinds = ("real", "fake") if self.on("g.image") else ("fake",)
            fakes = self.look_at(d, seen, out, kinds)
        judged, encoded = fakes["fake"]
        if self.on("g.fake"):
            losses["fake"] = jnp.mean(hinge_generator(judged.fits[0]))
        contrasts = self._with_text("g", encoded, seen)
        if self.on("g.image"):
            contrasts["image"] = self._of_vectors(fakes["real"].encoded.image, encoded.image)
        if any(self.on(f"g.{name}") for name in _OF_IMAGE_NETWORK):
            real, fake = (self._network(seen, x) for x in (self.real_images(seen), out["images"]))
            if self.on("g.image_network"):
                contrasts["image_network"] = self._of_vectors(real, fake)
            if self.on("g.perceptual"):
                losses["perceptual"] = jnp.mean(jnp.square(real - fake))
        return self._terms(losses, contrasts, d)

    def _with_text(self, player: str, encoded: Encoded, seen: Seen) -> dict[str, Contrast]:
        """The weighted contrasts of images with their captions."""
        found = {}
        if self.on(f"{player}.sentence"):
            found["sentence"] = self._of_vectors(encoded.image, encoded.sentence)
        if self.on(f"{player}.word"):
            pair = encoded.regions, seen.text
            found["word"] = self._contrast(self.scores["word"], *pair, self.word_temperature)
        return found

    @property
    def scores(self) -> Mapping[str, Callable[[Any, Any], jax.Array]]:
        """ "word": of regions and texts, as in the losses."""
        return {"word": functools.partial(word_scores, rho1=self.rho1, rho2=self.rho2)}

    def embed(self, variables: Variables, seen: Seen) -> dict[str, tuple[Any, Any]]:
        """What D's contrastive terms compare in real images: "sentence", the vectors of image and
        sentence; "word", the regions and the words, where words are read.
        """
        d = self.critic(variables, train=False)
        features = self.features(d, self.real_images(seen))
        _, vectors = d(features, self.condition_of(seen, {}), method="judge")
        encoded = d(features, vectors, self._word_width(seen), method="encode")
        found = {"sentence": (encoded.image, encoded.sentence)}
        if self.reads == "words":
            found["word"] = (encoded.regions, seen.text)
        return found

    def _of_vectors(self, first: jax.Array, second: jax.Array) -> Contrast:
        return self._contrast(cosine_scores, first, second, self.temperature)

    def _contrast(self, score, first: Any, second: Any, temperature: float) -> Contrast:
        return nt_xent(
            score,
            first,
            second,
            temperature=temperature,
            directions=self.directions,
            group=self.group,
            axis_name=self.axis_name,
        )

    def _network(self, seen: Seen, images: tuple[jax.Array, ...]) -> jax.Array:
        """Vectors [B, F] float32 of the frozen network."""
        module = self.image_network
        if self.image_network_size:
            module = module.clone(image_size=self.image_network_size)
        found = module.apply(seen.frozen["image_network"], images[-1], train=False)
        for name in ("features", "code"):
            found = getattr(found, name, found)
        if getattr(found, "ndim", None) != 2:
            kind = type(self.image_network).__name__
            raise ValueError(
                f"frozen.image_network: {kind} gives no vector an image: an array [B, F], or a "
                "tuple with one as its 'features' or 'code', is needed"
            )
        return found.astype(jnp.float32)

    def _terms(
        self,
        losses: dict[str, jax.Array],
        contrasts: Mapping[str, Contrast],
        d: Net,
        looked: Mapping[str, Looked] | None = None,
        metrics: Mapping[str, jax.Array] | None = None,
    ) -> Terms:
        """Terms with the contrasts' losses among the losses, their accuracies among the metrics."""
        found = {name: x.loss for name, x in contrasts.items()}
        hits = {f"accuracy_{name}": x.accuracy for name, x in contrasts.items()}
        return Terms({**losses, **found}, {**(metrics or {}), **hits}, d.state, looked)
