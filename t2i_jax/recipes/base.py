"""The contract between a paper's equations and the machinery that trains them.

A recipe is a frozen dataclass: modules, switches, and pure functions of arrays. It knows its loss
terms by name and nothing of optimizers, devices, data or files. The step weights the terms by the
config (``loss.g.kl``): a weight of 0 means the term is not computed, and the set of weighted terms
must be the set of returned terms.

Variables are linen variable dicts, ``{"params": ..., "batch_stats": ...}``; a "state" below is such
a dict without ``"params"`` (what a train-mode forward pass changes). Images are float32 NHWC in
[-1, 1].
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import flax.linen as nn
import jax

from t2i_jax import axis
from t2i_jax.types import Text

Batch = Mapping[str, Any]
Terms = dict[str, jax.Array]
Variables = Mapping[str, Any]


def apply_train(module: nn.Module, variables: Variables, *args, **kwargs) -> tuple[Any, dict]:
    """A train-mode forward pass: (output, state with the new running statistics)."""
    return module.apply(variables, *args, train=True, mutable=["batch_stats", "spectral"], **kwargs)


def with_state(variables: Variables, state: Variables) -> dict:
    """The variables with their statistics replaced by `state`."""
    return {**variables, **state}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe:
    """What every recipe has. ``players`` name what is optimized; ``active`` the terms that are
    computed.

    active: names ``"<player>.<term>"`` whose configured weight is not 0.
    axis_name: set by the step in a per-device program; None in a global-view program.
    """

    players: ClassVar[tuple[str, ...]] = ()

    active: frozenset[str] = frozenset()
    axis_name: str | None = None

    def on(self, term: str) -> bool:
        """Whether a term such as ``"g.kl"`` is to be computed."""
        return term in self.active

    def start(
        self, variables: dict[str, Variables], frozen: Mapping[str, Variables]
    ) -> dict[str, Variables]:
        """What a training starts from: the variables of `init`, where a recipe says so with parts
        taken from the networks of other runs.
        """
        return variables

    def bind(self, axis_name: str | None) -> "Recipe":
        """The same recipe inside a program with that axis name: itself and its modules."""
        modules = {
            f.name: getattr(self, f.name).clone(axis_name=axis_name)
            for f in dataclasses.fields(self)
            if isinstance(getattr(self, f.name), nn.Module)
            and hasattr(getattr(self, f.name), "axis_name")
        }
        return dataclasses.replace(self, axis_name=axis_name, **modules)


@dataclasses.dataclass(frozen=True, kw_only=True)
class GanRecipe(Recipe):
    """Two players, ``g`` and ``d``. Subclasses give the equations of one system.

    A system with several discriminators has one Discriminator module that owns all scales.
    """

    players: ClassVar[tuple[str, ...]] = ("g", "d")
    noise_shapes: ClassVar[Mapping[str, tuple[int, ...]]] = {}
    noise_distribution: ClassVar[str] = "normal"  # of all of them, see `t2i_jax.axis.noise`

    generator: nn.Module
    discriminator: nn.Module

    def init(self, key: jax.Array, batch: Batch, text: Text) -> dict[str, Variables]:
        """Variables of both players, ``{"g": ..., "d": ...}``."""
        raise NotImplementedError

    def noise(self, key: jax.Array, rows: int) -> dict[str, jax.Array]:
        """All the noise that one `generate` uses, `rows` local rows of each: drawn for the global
        batch.
        """
        raise NotImplementedError

    def generate(
        self, g_vars: Variables, batch: Batch, text: Text, noise, train: bool
    ) -> tuple[dict, dict]:
        """G's one forward pass of a step.

        Returns ``(out, new_g_state)``; ``out["images"]`` is a tuple of [B, H, W, 3] from low to
        high resolution.
        """
        raise NotImplementedError

    def d_terms(
        self, d_vars: Variables, batch: Batch, text: Text, out: dict, key
    ) -> tuple[Terms, dict]:
        """D's loss terms and D's new state. `out` and `text` are constants here."""
        raise NotImplementedError

    def g_terms(
        self,
        d_vars: Variables,
        frozen: Mapping[str, Variables],
        batch: Batch,
        text: Text,
        out: dict,
        key,
    ) -> tuple[Terms, dict]:
        """G's loss terms as functions of `out` (and of `text`, where the encoder is trained
        jointly).

        Returns D's state too: several papers' batch norms also move during G's update.
        """
        raise NotImplementedError

    @property
    def d_updates(self) -> tuple[Callable[..., tuple[Terms, dict]], ...]:
        """Functions with the signature of `d_terms`; each is one update of D in a step."""
        return (self.d_terms,)

    def sample_noise(self, keys: jax.Array) -> dict[str, jax.Array]:
        """Noise for sampling from one key an image, [N] -> {name: [N, ...]}: no image depends on
        its neighbours.
        """

        def one(key):
            return {
                name: axis.noise(
                    self.noise_distribution, jax.random.fold_in(key, i), shape, axis_name=None
                )
                for i, (name, shape) in enumerate(sorted(self.noise_shapes.items()))
            }

        return jax.vmap(one)(keys)

    def sample(
        self, g_vars: Variables, text: Text, noise: Mapping[str, jax.Array]
    ) -> tuple[jax.Array, ...]:
        """Images in evaluation mode, a tuple from low to high resolution."""
        raise NotImplementedError


@dataclasses.dataclass(frozen=True, kw_only=True)
class EncoderRecipe(Recipe):
    """One player, ``net``: a network trained by one set of terms (text encoders, the style encoder,
    DAMSM).
    """

    players: ClassVar[tuple[str, ...]] = ("net",)

    def init(self, key: jax.Array, batch: Batch, text: Text | None) -> dict[str, Variables]:
        """Variables, ``{"net": ...}``."""
        raise NotImplementedError

    def terms(
        self,
        variables: Variables,
        frozen: Mapping[str, Variables],
        batch: Batch,
        text: Text | None,
        key,
    ) -> tuple[Terms, dict, dict]:
        """``(terms, metrics, new state)``; metrics are logged and never optimized."""
        raise NotImplementedError


def check_terms(player: str, terms: Terms, active: frozenset[str]) -> None:
    """Raises ValueError, while tracing, where the returned terms are not the weighted ones."""
    returned = {f"{player}.{name}" for name in terms}
    wanted = {name for name in active if name.startswith(f"{player}.")}
    if returned != wanted:
        missing, extra = sorted(wanted - returned), sorted(returned - wanted)
        raise ValueError(
            f"loss terms of player {player!r} do not fit the config: "
            + (f"weighted but never computed: {missing}; " if missing else "")
            + (f"computed without a weight: {extra}; " if extra else "")
            + f"the config weighs {sorted(wanted)}"
        )


def local_rows(batch: Batch) -> int:
    """Rows of a batch on this device (or of the global batch, in a global-view program)."""
    return next(iter(batch.values())).shape[0]
