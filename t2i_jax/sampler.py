"""The public Python API: images from a trained run.

    sampler = t2i_jax.Sampler.from_workdir("runs/birds")
    images = sampler.sample(["a small red bird with black wings"], num=8, seed=0)  # uint8 NHWC

A run directory is all it needs: neither the data nor the runs that it was trained from. What
`python -m t2i_jax.export` makes of it draws the same images elsewhere (`from_pretrained`). An image
depends on its caption, the seed and its place in the call, not on the batch it is drawn in.
"""

import copy
import os
import tempfile
import warnings
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from t2i_jax import paths
from t2i_jax.choices import check_whole
from t2i_jax.drawing import drawer, mixing, styles
from t2i_jax.recipes.base import GanRecipe
from t2i_jax.training import build, exported, modules, runs
from t2i_jax.types import Text

# An array; with scale="all" a tuple of them, which `Any` stands for: type checkers, which do not
# know the scale, let either be used.
Images = np.ndarray | Any


class CaptionWarning(UserWarning):
    """A caption that the run's tokenizer can read in part only."""


class Sampler:
    """Draws images from one generator. Compiled once per batch size; shorter batches are padded.

    Made by `from_workdir` or `from_pretrained`.

    system: the run's networks; ``frozen["encoder"]`` is the text encoder where it was not trained.
    networks: the averaged networks, as `t2i_jax.training.runs.load_ema` gives them.
    checkpoint: (run directory, step) that they are from, if any.
    devices: that share every batch, such as ``jax.local_devices()``; by default one draws.
    """

    def __init__(
        self,
        system: build.System,
        networks: dict,
        batch_size: int = 16,
        devices: Sequence[jax.Device] | None = None,
        checkpoint: tuple[str | os.PathLike, int] | None = None,
    ):
        check_whole("batch_size", batch_size, 1)
        self.config, self.checkpoint = system.config, checkpoint
        self.system = system
        self._drawer = drawer.Drawer(system.recipe, system.encoder, batch_size, devices)
        self.networks = self._drawer.replicated(networks)
        self._encoder_vars = self._drawer.replicated(
            jax.device_put(system.variables.get("encoder"))
        )
        self._style_encoders: dict[str, styles.StyleEncoder] = {}

    @classmethod
    def from_workdir(
        cls,
        workdir: str | os.PathLike,
        step: int | None = None,
        batch_size: int = 16,
        devices: Sequence[jax.Device] | None = None,
    ) -> "Sampler":
        """The sampler of a run.

        step: of the checkpoint; the latest by default.
        batch_size, devices: as the class takes them.

        Raises FileNotFoundError where `workdir` is no run or has no such checkpoint, ValueError
        where the run trained no generator, or is damaged, TypeError for what is no path.
        """
        workdir = paths.text("workdir", workdir)
        return cls._restored(workdir, step, batch_size, devices)

    @classmethod
    def from_pretrained(
        cls,
        name: str | os.PathLike,
        revision: str | None = None,
        token: str | bool | None = None,
        batch_size: int = 16,
        devices: Sequence[jax.Device] | None = None,
        trust_modules: bool = False,
    ) -> "Sampler":
        """The sampler of an exported folder (``python -m t2i_jax.export``): the same images.

        name: the folder; or ``"user/name"`` on the Hugging Face Hub, which is downloaded once.
        revision, token: for the Hub: a branch, tag or commit, and what lets one in where the
            repository is private.
        batch_size, devices: as the class takes them.
        trust_modules: whether modules that are no part of this library and that the folder names
            may be imported, and so executed. Nothing else of a folder can be.

        Raises FileNotFoundError where there is no such folder, OSError where the Hub refuses it,
        ValueError for files that are damaged, and for modules that are not trusted.
        """
        from t2i_jax.exporting import hub

        folder = hub.folder(paths.text("name", name), revision, token)
        exported.check(folder)
        return cls._restored(folder, None, batch_size, devices, trust_modules)

    @classmethod
    def _restored(
        cls, workdir, step, batch_size, devices, trust_modules: bool = False
    ) -> "Sampler":
        config = runs.read_config(workdir, trust_modules)
        if not issubclass(modules.recipe_module(config.system).Recipe, GanRecipe):
            raise ValueError(
                f"{workdir} is a run of {config.system!r}, which draws no images: the run of a GAN "
                "is needed"
            )
        step = runs.latest_step(workdir) if step is None else step
        config, networks = runs.load_ema(workdir, step, trust_modules)
        system = build.restore(config, workdir)
        return cls(system, networks, batch_size, devices, (workdir, step))

    def push_to_hub(
        self,
        name: str,
        private: bool | None = None,
        token: str | bool | None = None,
        revision: str | None = None,
        captions: str | Sequence[str] = (),
        license: str = "",
    ) -> str:
        """Exports the run that this draws from, and uploads the folder to the Hugging Face Hub;
        returns its address.

        name, private, token, revision: as `t2i_jax.exporting.hub.push` takes them.
        captions, license: as `t2i_jax.exporting.package.write`; an exported folder goes as it is.

        Raises as these do, and ValueError for networks that are of no run.
        """
        from t2i_jax.exporting import hub, package

        if self.checkpoint is None:
            raise ValueError("these networks are of no run: make a sampler by from_workdir")
        hub.check_name(name)
        workdir, step = self.checkpoint
        if exported.is_export(workdir):
            return hub.push(workdir, name, private, token, revision)
        with tempfile.TemporaryDirectory() as place:
            folder = paths.path(place) / "export"
            package.write(workdir, folder, step, captions, license, name)
            return hub.push(folder, name, private, token, revision)

    @property
    def parameters(self) -> dict[str, int]:
        """How many parameters each network has: ``"g"``, ``"encoder"`` where there is text, and
        others that extras are drawn with.
        """
        frozen = {"encoder": self._encoder_vars["params"]} if self._encoder_vars else {}
        return {
            name: sum(leaf.size for leaf in jax.tree.leaves(params))
            for name, params in {**frozen, **self.networks["params"]}.items()
        }

    @property
    def step(self) -> int | None:
        """Of the checkpoint that is drawn from; None for networks that are of no run."""
        return None if self.checkpoint is None else self.checkpoint[1]

    def __repr__(self) -> str:
        config, leaves = self.config, jax.tree.leaves(self.networks["params"]["g"])
        devices = sorted(str(d) for x in leaves[:1] for d in jax.device_put(x).devices())
        return (
            f"Sampler(system={config.system!r}, data={config.data.name!r}, "
            f"size={config.data.size}, step={self.step}, encoder={config.encoder.name!r}, "
            f"parameters={self.parameters['g']:_}, batch_size={self._drawer.batch_size}, "
            f"devices={devices})"
        )

    def with_networks(self, networks: dict) -> "Sampler":
        """One that draws with other averaged networks of the same run, compiled already."""
        other = copy.copy(self)
        other.checkpoint = None
        other.networks = self._drawer.replicated(networks)
        return other

    def sample(
        self,
        captions: str | Sequence[str] | np.ndarray | None = None,
        seed: int = 0,
        num: int = 1,
        scale: int | str | None = None,
        truncation: float | None = None,
        extras: Sequence[str] = (),
        first: int = 0,
    ) -> Images:
        """Images of captions, uint8 [N, H, W, 3] with N = len(captions) * num: first all of the
        first caption.

        captions: strings; for a run trained on stored embeddings, these [captions, E]; left out for
            a run without text.
        seed: of the noise; image i has the i-th noise of a seed.
        scale: for generators with several resolutions. The highest by default; a width in pixels;
            or ``"all"``, then a tuple from low to high.
        truncation: noise is `truncation` times a standard normal cut at +-2, for samples that vary
            less (0.88 in DF-GAN's release); by default it is drawn as in training.
        extras: names of what the system has beside its images, such as ``"attention"``. The result
            is then a pair: the images, and arrays [N, ...] by name.
        first: the number of the first image: of a long list, one part after the other.

        Warns (`CaptionWarning`) of unknown characters or words and of captions that are cut.
        Raises ValueError for a caption of which nothing is known, and for an unknown scale, extra
        or seed.
        """
        check_whole("num", num, 1)
        check_whole("first", first, 0)
        text = jax.tree.map(lambda x: np.repeat(x, num, axis=0), self._text(captions))
        count = num if text is None else len(text.sentence)
        noise = self._noise(seed, range(first, first + count), truncation)
        if not extras:
            return self._images(text, noise, scale)
        place = self._place(text, noise, scale)
        images, found = self._drawer.examined(self.networks, text, noise, extras)
        return (images if place is None else images[place]), found

    def examine(
        self,
        photos: Sequence[np.ndarray] | np.ndarray,
        captions: str | Sequence[str] | np.ndarray | None = None,
        extras: Sequence[str] = ("attention",),
    ) -> dict[str, np.ndarray]:
        """What the system finds in given images, arrays [N, ...] by name: ``"attention"`` is where
        a discriminator that attends looks for the caption.

        photos: N of them, uint8 RGB [H, W, 3] each, of any size; see `view`.
        captions: one each, or one for all; otherwise as in `sample`.

        Raises ValueError as `sample` and `view`, for another number of captions, and for what the
        system only has for the images that it draws.
        """
        images, text = self.view(photos), self._text(captions)
        if text is not None:
            if len(text.sentence) not in (1, len(images)):
                raise ValueError(f"{len(text.sentence)} captions for {len(images)} photos")
            text = jax.tree.map(lambda x: np.broadcast_to(x, (len(images), *x.shape[1:])), text)
        return self._drawer.given(self.networks, text, images, extras)

    def words(self, caption: str) -> list[str]:
        """The tokens of a caption as the run's text encoder reads them: the i-th belongs to the
        i-th entry of the last axis of word attention. Raises ValueError for a run without text,
        TypeError for what is no text.
        """
        tokenizer = self.system.tokenizer
        if not isinstance(caption, str):
            raise TypeError(f"caption={caption!r}: a text is needed")
        if tokenizer is None:
            raise ValueError("this run reads no captions")
        ids, mask = tokenizer.encode([caption])
        return tokenizer.decode(ids[mask][:, None])

    def interpolate(
        self,
        caption_a: str,
        caption_b: str,
        steps: int = 8,
        seed: int = 0,
        scale: int | str | None = None,
    ) -> Images:
        """From one caption to another, [steps, H, W, 3]: encoded text mixed linearly, noise fixed.

        The ends are what `sample` draws first of each caption with that seed. Word vectors are
        mixed by position. Raises ValueError as `sample`, and for fewer than 2 steps.
        """
        text, t = self._text([caption_a, caption_b]), mixing.weights(steps)
        mask = text.mask
        if mask is not None:
            mask = (mask[0] & (t[:, None] < 1)) | (mask[1] & (t[:, None] > 0))
        mixed = jax.tree.map(lambda x: mixing.mix(x[0], x[1], t), text._replace(mask=None))
        return self._images(mixed._replace(mask=mask), self._noise(seed, [0] * steps), scale)

    def interpolate_noise(
        self,
        caption: str | None,
        seed_a: int,
        seed_b: int,
        steps: int = 8,
        scale: int | str | None = None,
    ) -> Images:
        """From one seed to another, [steps, H, W, 3]: noise mixed linearly, text fixed.

        The ends are what `sample` draws first with either seed. Raises ValueError as `sample`, and
        for fewer than 2 steps.
        """
        t, text = mixing.weights(steps), self._text(caption)
        if text is not None and len(text.sentence) != 1:
            raise ValueError(f"{len(text.sentence)} captions: the noise of one is mixed")
        text = jax.tree.map(lambda x: np.repeat(x, steps, axis=0), text)
        ends = (self._noise(seed_a, [0]), self._noise(seed_b, [0]))
        return self._images(
            text, jax.tree.map(lambda a, b: mixing.mix(a[0], b[0], t), *ends), scale
        )

    def transfer(
        self,
        photos: Sequence[np.ndarray] | np.ndarray,
        captions: str | Sequence[str],
        style_encoder: str | os.PathLike,
        normalise: bool = False,
        scale: int | str | None = None,
    ) -> Images:
        """Captions in the style (pose, background) of photos, [texts, photos, H, W, 3]: G(S(x), t)
        of Reed et al. (ICML 2016), section 4.4.

        photos: uint8 RGB [H, W, 3] each, of any size; see `view`.
        style_encoder: the run directory of ``configs/style_encoder.py``, trained on this run.
        normalise: bring every style to the noise's usual norm; for N(0, 1), sqrt(noise_dim).

        Raises ValueError for photos of another kind and for a style encoder that does not fit.
        """
        text = self._text(captions)
        key = paths.text("style_encoder", style_encoder)
        if key not in self._style_encoders:
            self._style_encoders[key] = styles.StyleEncoder(
                key, self.system, self._drawer.batch_size
            )
        noise = self._style_encoders[key](self.view(photos), normalise)
        texts, columns = len(text.sentence), len(noise)
        text = jax.tree.map(lambda x: np.repeat(x, columns, axis=0), text)
        drawn = self._images(text, {"z": np.tile(noise, (texts, 1))}, scale)
        return jax.tree.map(lambda x: x.reshape(texts, columns, *x.shape[1:]), drawn)

    def view(self, photos: Sequence[np.ndarray] | np.ndarray) -> np.ndarray:
        """Photos as the run's training saw its images, uint8 [N, size, size, 3]: resized by its
        rule, the middle in place of a random crop. Raises ValueError as `transfer`.
        """
        return styles.view(photos, build.data_options(self.config))

    def _text(self, captions: str | Sequence[str] | np.ndarray | None) -> Text | None:
        """Encoded captions. Raises ValueError where they are not what the run reads."""
        inputs = self._inputs(captions)
        if inputs is None:
            return None
        return self._drawer.text(self.networks, self._encoder_vars, inputs)

    def _inputs(
        self, captions: str | Sequence[str] | np.ndarray | None
    ) -> dict[str, np.ndarray] | None:
        system = self.system
        captions = [captions] if isinstance(captions, str) else captions
        if captions is not None and not hasattr(captions, "__len__"):
            raise TypeError(f"captions={captions!r}: a text is needed, or a list of texts")
        if captions is not None and not len(captions):
            raise ValueError("no captions")
        if system.encoder is not None:
            if captions is None or not all(isinstance(c, str) for c in captions):
                raise ValueError("this run draws from captions: give strings")
            for caption in dict.fromkeys(captions):
                for note in drawer.caption_problems(system.tokenizer, caption):
                    warnings.warn(note, CaptionWarning, stacklevel=4)
            return drawer.text_inputs(system.tokenizer, captions)
        if self.config.data.get("text") == "embeddings":
            if np.ndim(captions) != 2 or not np.issubdtype(np.asarray(captions).dtype, np.floating):
                raise ValueError(
                    "this run was trained on stored embeddings and has no text encoder: give an "
                    "array [captions, E] of such embeddings"
                )
            return drawer.sentence_inputs(captions)
        if captions is not None:
            raise ValueError("this run was trained without text: leave the captions out")
        return None

    def _noise(
        self, seed: int, indices: Sequence[int], truncation: float | None = None
    ) -> dict[str, np.ndarray]:
        return self._drawer.noise(drawer.image_keys(seed, indices), truncation)

    def _images(self, text: Text | None, noise, scale: int | str | None) -> Images:
        place = self._place(text, noise, scale)
        images = self._drawer.images(self.networks, text, noise)
        return images if place is None else images[place]

    def _place(self, text: Text | None, noise, scale: int | str | None) -> int | None:
        """Which of the resolutions is asked for; None for all of them."""
        if scale == "all":
            return None
        if scale is None:
            return -1
        widths = self._drawer.scales(self.networks, text, noise)
        places = {str(width): i for i, width in enumerate(widths)}  # of equals, the last
        if str(scale) not in places:
            raise ValueError(
                f"scale={scale!r}: this generator draws {', '.join(places)} px; choose one of "
                "these or 'all'"
            )
        return places[str(scale)]
