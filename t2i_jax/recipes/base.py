"""The contract between a paper's equations and the machinery that trains them.

A recipe is a frozen dataclass that holds the networks of one system and writes down its loss terms
as pure functions of arrays. It knows nothing of optimizers, devices, data files or checkpoints: the
train step calls the recipe's functions, weighs the terms by the config (``loss.g.kl``) and updates
the networks. A term whose weight is 0 is not computed, and the step refuses a recipe that returns
other terms than the weighted ones.

What the functions take and return stands in `t2i_jax.recipes.terms`. Images are float32 NHWC in
[-1, 1].
"""

import dataclasses
import math
import numbers
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal

import flax.linen as nn
import jax

from t2i_jax import axis, types
from t2i_jax.losses import damsm as damsm_losses
from t2i_jax.recipes import damsm_terms, mode_seeking, regularizers
from t2i_jax.recipes.terms import Judgement, Net, Seen, Terms, Variables, with_state

Reads = Literal["nothing", "sentence", "words", "tokens"]
WrongPairs = Literal["", "image", "caption"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe:
    """What every recipe has.

    Of the class, or of the instance where the config decides:

    players: the names of what is optimized, each by an optimizer of its own.
    networks: parts of a finished run that other runs may take, as the name of the recipe's field
        (a module) -> where its variables lie: ``{"text": ("net", "text")}``.
    frozen_parts: the recipe's fields that hold networks of other runs, as field -> the part of a
        run that it takes unless the config names one (``frozen.image=RUN:part``).
    trained_by: the systems whose runs usually give them, as field -> system, for messages.
    starting_points: those of them that are only needed to initialize (see `init`).
    reads: what of the text the terms read. "nothing"; "sentence" vectors; "words": sentence
        vectors, word vectors and the mask; "tokens": the recipe encodes the token ids itself.
    without_words: of a recipe that reads words, the overrides by which it reads sentences instead.
    wrong_pairs: which mismatched pairs of the data the terms can read, as ``data.mismatch`` names
        them: "image", "caption" or "" for none.
    optional_terms: by player, terms that a config need not mention; their weight is then 0.
    embeds: the player that compares images with captions (`embed`), by which retrieval is measured;
        "" for none.

    Fields:

    active: names ``"<player>.<term>"`` of the terms whose configured weight is not 0.
    axis_name: set by the step in a per-device program; None in a global-view program.
    """

    players: ClassVar[tuple[str, ...]] = ()
    networks: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    frozen_parts: ClassVar[Mapping[str, str]] = {}
    trained_by: ClassVar[Mapping[str, str]] = {}
    starting_points: ClassVar[tuple[str, ...]] = ()
    reads: ClassVar[Reads] = "sentence"
    without_words: ClassVar[tuple[str, ...]] = ()
    wrong_pairs: ClassVar[WrongPairs] = ""
    optional_terms: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    embeds: ClassVar[str] = ""

    active: frozenset[str] = frozenset()
    axis_name: str | None = None

    def on(self, term: str) -> bool:
        """Whether the config gives the term ``"<player>.<term>"``, such as ``"g.kl"``, a weight."""
        return term in self.active

    def init(self, key: jax.Array, seen: Seen) -> dict[str, Variables]:
        """Fresh variables of every player. `seen` is one example; its images and texts are read for
        their shapes, its frozen networks may be copied from.
        """
        raise NotImplementedError

    def check(self, seen: Seen) -> None:
        """Raises ValueError where weighted terms lack what they read or don't go together; called
        once, before `init`, with what that is given.
        """

    def init_frozen(self, name: str, key: jax.Array, seen: Seen) -> Variables:
        """Random variables of the frozen network `name`, for tests and benchmarks
        (``frozen.<name>=random``). Raises ValueError where the recipe knows none of that name.
        """
        raise ValueError(f"{type(self).__module__} makes no random network {name!r}")

    def embed(self, variables: Variables, seen: Seen) -> dict[str, tuple[Any, Any]]:
        """What the batch's images and what its captions are compared by, by the comparison's name:
        two trees of arrays [B, ...], vectors [B, E] where `scores` does not name it. "sentence" is
        the usual one.

        variables: of the player `embeds`, in evaluation mode.
        """
        raise NotImplementedError

    @property
    def scores(self) -> Mapping[str, Callable[[Any, Any], jax.Array]]:
        """How well I images fit J captions, [I, J], by the comparisons of `embed` that are no
        cosines.
        """
        return {}

    def bind(self, axis_name: str | None) -> "Recipe":
        """The recipe for a program that runs once on every device: its batch norms and its draws
        then reach over the devices of that axis. None gives the recipe of a global-view program.
        """
        modules = {
            f.name: getattr(self, f.name).clone(axis_name=axis_name)
            for f in dataclasses.fields(self)
            if isinstance(getattr(self, f.name), nn.Module)
            and hasattr(getattr(self, f.name), "axis_name")
        }
        return dataclasses.replace(self, axis_name=axis_name, **modules)


@dataclasses.dataclass(frozen=True, kw_only=True)
class GanRecipe(Recipe):
    """Two players, the generator ``g`` and the discriminator ``d``. Subclasses give the equations
    of one system. Several discriminators are one Discriminator module that owns all of them.

    kept: players beside G whose variables a run keeps for sampling: ``("d",)`` where samples show
        what D looks at.

    Fields, for the regularizers that every system has (`t2i_jax.recipes.regularizers`):

    augment: policies of `losses.diff_augment`; (): none. All that D sees while it trains passes
        through them; what is drawn or shown does not.
    penalty_update: penalties on D are "shared" with its other terms in one update, or have their
        "own", after it and on the same batch.
    ma_gp_form, ma_gp_scale, ma_gp_exponent: of the term ma_gp, see
        `losses.gradient_penalties.matching_aware`.

    For the terms that every G has (`t2i_jax.recipes.damsm_terms`):

    damsm: a trained image encoder of `t2i_jax.encoders.damsm`, whose text encoder reads the
        captions; needed by the terms ``damsm_*``.
    gamma1, gamma2, gamma3, damsm_form: of these terms, see `losses.damsm`.
    """

    players: ClassVar[tuple[str, ...]] = ("g", "d")
    frozen_parts: ClassVar[Mapping[str, str]] = {"damsm": "image"}
    trained_by: ClassVar[Mapping[str, str]] = {"damsm": "damsm"}
    optional_terms: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "d": regularizers.TERMS["d"],
        "g": (*regularizers.TERMS["g"], *damsm_terms.TERMS, *mode_seeking.TERMS),
    }
    networks: ClassVar[Mapping[str, tuple[str, ...]]] = {"generator": ("g",)}
    kept: ClassVar[tuple[str, ...]] = ()
    noise_distribution: ClassVar[str] = "normal"  # of all of G's noise, see `t2i_jax.axis.noise`

    generator: nn.Module
    discriminator: nn.Module
    augment: tuple[str, ...] = ()
    penalty_update: str = "shared"
    ma_gp_form: str = "paper"
    ma_gp_scale: float = 2.0
    ma_gp_exponent: float = 6.0
    damsm: nn.Module | None = None
    gamma1: float = damsm_losses.GAMMA1
    gamma2: float = damsm_losses.GAMMA2
    gamma3: float = damsm_losses.GAMMA3
    damsm_form: str = "released"

    def __post_init__(self):
        regularizers.check_fields(self)

    def check(self, seen: Seen) -> None:
        """Also for DAMSM's terms without what they compare, and the relativistic term beside those
        that it replaces.
        """
        damsm_terms.check(self, seen)
        regularizers.check(self)

    def init_frozen(self, name: str, key: jax.Array, seen: Seen) -> Variables:
        """Also an untrained image encoder, of ``damsm``."""
        if name != "damsm":
            return super().init_frozen(name, key, seen)
        images = [x[:1] for x in self.real_images(seen)]
        return self.damsm.init(key, images[-1], train=False)

    @property
    def noise_shapes(self) -> Mapping[str, tuple[int, ...]]:
        """The noise of one image, shapes by name."""
        return self.generator.noise_shapes

    def noise(self, key: jax.Array, rows: int) -> dict[str, jax.Array]:
        """The noise of one `generate`: `rows` local rows of every array of `noise_shapes`, drawn
        for the global batch, so that it does not depend on the number of devices.
        """
        return {
            name: axis.noise(
                self.noise_distribution,
                jax.random.fold_in(key, i),
                (rows, *shape),
                self.axis_name,
            )
            for i, (name, shape) in enumerate(sorted(self.noise_shapes.items()))
        }

    def sample_noise(
        self, keys: jax.Array, truncation: float | None = None
    ) -> dict[str, jax.Array]:
        """Noise for sampling from one key an image, [N] -> {name: [N, ...]}: no image depends on
        its neighbours.

        truncation: draws `truncation` times a standard normal cut at +-2 instead (DF-GAN's release;
            0.88 there). Raises ValueError for noise that is not normal and a truncation that is no
            number above 0.
        """
        known = truncation is None or isinstance(truncation, numbers.Real)
        if not known or (truncation is not None and not 0 < truncation < math.inf):
            raise ValueError(f"truncation={truncation!r}: must be above 0, such as 0.88")
        if truncation is not None and self.noise_distribution != "normal":
            raise ValueError(
                f"truncation={truncation} is for normal noise; this generator's is "
                f"{self.noise_distribution}"
            )

        def draw(key, shape):
            if truncation is None:
                return axis.noise(self.noise_distribution, key, shape, axis_name=None)
            return truncation * jax.random.truncated_normal(key, -2.0, 2.0, shape)

        def one(key):
            return {
                name: draw(jax.random.fold_in(key, i), shape)
                for i, (name, shape) in enumerate(sorted(self.noise_shapes.items()))
            }

        return jax.vmap(one)(keys)

    def generate(
        self, g_vars: Variables, seen: Seen, noise: Mapping[str, jax.Array], train: bool
    ) -> tuple[dict[str, Any], dict]:
        """G's forward pass: ``(out, new state of G)``.

        ``out["images"]`` is a tuple of [B, H, W, 3] from low to high resolution. What else a system
        has stands beside it by name (attention maps, conditions) and reaches the terms, and in
        evaluation mode (``train=False``, an empty batch) the sampler's `extras`.
        """
        raise NotImplementedError

    def make(
        self, g_vars: Variables, seen: Seen, noise: Mapping[str, jax.Array]
    ) -> tuple[dict[str, Any], dict]:
        """`generate` in a training, with what the terms of every G need beside its outputs."""
        out, state = self.generate(g_vars, seen, noise, train=True)
        return {**out, **mode_seeking.drawn_again(self, g_vars, seen, noise)}, state

    def examine(
        self, networks: Mapping[str, Variables], seen: Seen, out: Mapping[str, Any]
    ) -> dict[str, jax.Array]:
        """What can be drawn beside a sample, [N, ...] by name: by default all of G's outputs that
        have a row for every image. Of outputs with several stages or scales, ``<name>_1`` is the
        first and ``<name>`` the last.

        networks: the variables of G, and of the players in `kept`.
        """
        rows, found = out["images"][-1].shape[0], {}
        for name, value in out.items():
            parts = value if isinstance(value, tuple) and name != "images" else ()
            found |= {f"{name}_{i}": part for i, part in enumerate(parts, start=1)}
            found[name] = parts[-1] if parts else value
        shaped = {k: v for k, v in found.items() if hasattr(v, "shape")}
        return {k: v for k, v in shaped.items() if v.shape[:1] == (rows,)}

    def real_images(self, seen: Seen, key: str = types.IMAGES) -> tuple[jax.Array, ...]:
        """Images of the batch at the sizes that D takes, from low to high resolution."""
        images = seen.of(key)
        return tuple(images) if isinstance(images, tuple | list) else (images,)

    def fakes_for_d(self, out: Mapping[str, Any]) -> tuple[jax.Array, ...]:
        """The fakes that D is trained on: by default what G's terms are asked of, too."""
        return out["images"]

    def critic(self, d_vars: Variables, key: jax.Array | None = None, train: bool = True) -> Net:
        """D in use. All of a system's terms ask D through `look` and `judge` of such a `Net`, with
        the key that they are given: of one key D sees all images augmented alike.
        """
        return Net(self.discriminator, d_vars, key, train)

    def look(self, d: Net, images: tuple[jax.Array, ...]) -> Any:
        """D's features of images as D sees them, augmented: see `regularizers.augmented`."""
        return self.features(d, regularizers.augmented(self, d, images))

    def features(self, d: Net, images: tuple[jax.Array, ...]) -> Any:
        """D's features of images, a tuple from low to high resolution. Terms ask for `look`."""
        raise NotImplementedError

    def judge(self, d: Net, features: Any, condition: Any, real: bool = True) -> Judgement:
        """D's answers about images of which it has the features.

        condition: what it sees of their texts; None asks only the heads that see no text.
        real: whether to ask those heads, where D has them.
        """
        raise NotImplementedError

    def condition_of(self, seen: Seen, out: Mapping[str, Any]) -> Any:
        """What D sees of each row's text: by default its sentence vector, None without text."""
        return None if seen.text is None else seen.text.sentence

    def discriminate(
        self, d: Net, images: tuple[jax.Array, ...], condition: Any, real: bool = True
    ) -> Judgement:
        """D's answers about images and conditions, from pixels to logits.

        This is the one door to D: `look` followed by `judge`. Penalties differentiate it, and what
        changes the images that D sees changes them in `look`.
        """
        return self.judge(d, self.look(d, images), condition, real)

    def d_terms(self, d_vars: Variables, seen: Seen, out: dict, key: jax.Array) -> Terms:
        """The system's own terms of D. `out` and `seen.text` are constants here."""
        raise NotImplementedError

    def g_terms(
        self, d_vars: Variables, seen: Seen, out: dict, key: jax.Array, fakes: Any = None
    ) -> Terms:
        """The system's own terms of G as functions of `out` (and of `seen.text`, where its encoder
        is trained with G). The state is D's: in several papers its running statistics also move in
        G's update.

        fakes: what `d_terms` found in them, where the same D judges for both players; else None,
            and the terms ask D themselves.
        """
        raise NotImplementedError

    def penalties(self, d_vars: Variables, seen: Seen, out: dict, key: jax.Array) -> Terms:
        """The weighted penalties on D; its state does not move."""
        return Terms(regularizers.penalties(self, d_vars, seen, out, key))

    def d_update(self, d_vars: Variables, seen: Seen, out: dict, key: jax.Array) -> Terms:
        """All of D's terms but penalties that have an update of their own."""
        terms = self.d_terms(d_vars, seen, out, key)
        terms = regularizers.with_relativistic(self, "d", terms, d_vars, seen, out, key)
        if self.penalty_update == "own":
            return terms
        found = self.penalties(with_state(d_vars, terms.state), seen, out, key)
        return terms.replace(losses={**terms.losses, **found.losses})

    def g_update(
        self, d_vars: Variables, seen: Seen, out: dict, key: jax.Array, fakes: Any = None
    ) -> Terms:
        """All of G's terms; arguments as in `g_terms`."""
        terms = self.g_terms(d_vars, seen, out, key, fakes=fakes)
        terms = regularizers.with_relativistic(self, "g", terms, d_vars, seen, out, key)
        found = damsm_terms.damsm_terms(self, seen, out)
        found |= mode_seeking.mode_seeking_term(self, out)
        return terms.replace(losses={**terms.losses, **found})

    @property
    def d_updates(self) -> tuple[Callable[..., Terms], ...]:
        """Functions like `d_terms`; each is one update of D in a step. One that returns no losses
        updates nothing.
        """
        apart = any(self.on(f"d.{name}") for name in regularizers.PENALTIES)
        if self.penalty_update == "own" and apart:
            return (self.d_update, self.penalties)
        return (self.d_update,)


@dataclasses.dataclass(frozen=True, kw_only=True)
class EncoderRecipe(Recipe):
    """One player, ``net``: a network trained by one set of terms (text encoders, the style encoder,
    DAMSM).
    """

    players: ClassVar[tuple[str, ...]] = ("net",)

    def terms(self, variables: Variables, seen: Seen, key: jax.Array) -> Terms:
        """The terms and the network's new state."""
        raise NotImplementedError
