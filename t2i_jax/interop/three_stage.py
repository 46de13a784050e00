"""Weights of the AttnGAN family's releases (PyTorch state dicts) <-> our modules and variables.

AttnGAN, DM-GAN and DR-GAN name their shared layers alike: G in one file (``ca_net``, ``h_net1`` to
``h_net3``, ``img_net1`` ...), the discriminator of each scale in one of its own. A `Release` says
what a system adds. All sizes are read off the arrays' shapes; every array is checked by name, shape
and for finite values.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from t2i_jax.interop.published import check, empty
from t2i_jax.interop.state_dict import (
    Layers,
    StateDict,
    clean,
    extent,
    numbers,
    to_state_dict,
    to_variables,
)

_ENCODER_STEPS = 4  # strided convolutions of ``img_code_s16``
_NORMALIZED = ".module."  # stands in the names of spectrally normalised layers


def pair(prefix: str, indices: tuple[int, int], path: tuple[str, ...]) -> Layers:
    """A convolution and its batch norm, at two positions of a sequence."""
    conv, norm = indices
    return {f"{prefix}.{conv}": (*path, "conv"), f"{prefix}.{norm}": (*path, "bn")}


def residual(prefix: str, blocks: int, path: str) -> Layers:
    """A sequence of residual blocks."""
    layers = {}
    for i in range(blocks):
        layers |= pair(f"{prefix}.{i}.block", (0, 1), (f"{path}{i + 1}", "block1"))
        layers |= pair(f"{prefix}.{i}.block", (3, 4), (f"{path}{i + 1}", "block2"))
    return layers


@dataclasses.dataclass(frozen=True, kw_only=True)
class Release:
    """How the release of one system names its layers.

    system: its name, for messages.
    generator, discriminator: our modules.
    words: layer of a stage that reads the words, within ``h_net2.``.
    stage: (residual blocks) -> names within ``h_net2.`` of what this system adds, and our paths.
    head: names within ``img_net1.``, and our paths.
    linear: layers, by the end of their names, that are convolutions over single points there and
        linear here, with the number of axes of their weights there.
    fields: what the weights ask of our generator; d_fields: of our discriminator.
    dead, d_dead: beginnings of names, after ``h_net2.`` in G, that no output depends on. They are
        left out, and `export_generator` does not bring them back.
    """

    system: str
    generator: type[nn.Module]
    discriminator: type[nn.Module]
    words: str
    stage: Callable[[int], Layers]
    head: Layers
    linear: Mapping[str, int]
    fields: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    d_fields: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    dead: tuple[str, ...] = ()
    d_dead: tuple[str, ...] = ()

    def generator_layers(self, generator: nn.Module) -> Layers:
        """The release's layer names and our paths, in the release's order."""
        ups = (generator.base_size // 4).bit_length() - 1
        layers = {"ca_net.fc": ("ca", "fc"), **first_stage("h_net1", ups, ("stage1",))}
        for stage in range(1, generator.scales + 1):
            if stage > 1:
                blocks = generator.residual_blocks
                own = self.stage(blocks) | residual("residual", blocks, "res")
                own |= pair("upsample", (1, 2), ("up",))
                layers |= {f"h_net{stage}.{k}": (f"stage{stage}", *v) for k, v in own.items()}
            layers |= {f"img_net{stage}.{k}": (f"image{stage}", *v) for k, v in self.head.items()}
        return layers

    def import_generator(self, state: Mapping[str, np.ndarray]) -> tuple[nn.Module, dict]:
        """(module, variables) of a state dict; ValueError where it is not this system's."""
        state = clean(state)
        dead = tuple(f"h_net{i}.{d}" for i in range(2, 9) for d in self.dead)
        state = {k: v for k, v in state.items() if not dead or not k.startswith(dead)}
        try:
            sentence_dim = extent(state, "ca_net.fc.weight", 1)
            words_dim = extent(state, f"h_net2.{self.words}.weight", 1, axes=(3, 4))
            condition_dim = extent(state, "ca_net.fc.weight") // 4
            generator = self.generator(
                channels=extent(state, "h_net2.upsample.1.weight") // 2,
                condition_dim=condition_dim,
                noise_dim=extent(state, "h_net1.fc.0.weight", 1) - condition_dim,
                residual_blocks=numbers(state, "h_net2.residual.{}."),
                scales=numbers(state, "h_net{}."),
                base_size=4 * 2 ** numbers(state, "h_net1.upsample{}."),
                **self.fields,
            )
        except ValueError as error:
            raise ValueError(f"not a generator of {self.system}: {error}") from error

        def init():
            noise = {k: jnp.zeros((1, *s)) for k, s in generator.noise_shapes.items()}
            sentence, words = jnp.zeros((1, sentence_dim)), jnp.zeros((1, 1, words_dim))
            mask = jnp.ones((1, 1), bool)
            return generator.init(jax.random.key(0), noise, sentence, words, mask, train=False)

        made = self.export_generator(generator, empty(init), counts=False)
        check(state, _shapes(made), f"the generator of {self.system}")
        return generator, to_variables(self._flat(state), self.generator_layers(generator))

    def export_generator(
        self, generator: nn.Module, variables: Mapping[str, Any], counts: bool = True
    ) -> StateDict:
        """The inverse of `import_generator`; parameters alone, or gradients, do as well.

        counts: with the `num_batches_tracked` that current PyTorch asks for.

        Raises ValueError for variables that the release has no names for.
        """
        return self._points(to_state_dict(variables, self.generator_layers(generator), counts))

    def import_discriminator(
        self, states: Sequence[Mapping[str, np.ndarray]]
    ) -> tuple[nn.Module, dict]:
        """(module, variables) of the state dicts of all scales, from low to high resolution.

        Raises ValueError where one is not this system's, or widths differ from scale to scale.
        """
        dead = self.d_dead
        states = [
            {k: v for k, v in clean(state).items() if not dead or not k.startswith(dead)}
            for state in states
        ]
        try:
            sizes, fields, sentence_dim = zip(*map(self._read_off, states), strict=True)
        except ValueError as error:
            raise ValueError(f"not a discriminator of {self.system}: {error}") from error
        if any(f != fields[0] for f in fields):
            raise ValueError(f"discriminators of different widths: {list(fields)}")
        discriminator = self.discriminator(image_sizes=sizes, **fields[0], **self.d_fields)

        def init():
            images = [jnp.zeros((1, s, s, 3)) for s in sizes]
            sentence = jnp.zeros((1, sentence_dim[0]))
            return discriminator.init(jax.random.key(0), images, sentence, train=False)

        made = self.export_discriminator(discriminator, empty(init), counts=False)
        for state, like, size in zip(states, made, sizes, strict=True):
            check(state, _shapes(like), f"the discriminator of {self.system}, {size} px")
        flat = {}
        for i, state in enumerate(states):
            for (collection, *path), x in self._scale(state, sizes[i]).items():
                flat[(collection, f"nets_{i}", *path)] = x
        return discriminator, unflatten_dict(flat)

    def _read_off(self, state: StateDict) -> tuple[int, dict[str, int], int]:
        """(image size, fields of the discriminator, width of a sentence) of one scale."""
        plain, _ = _split(state)
        first = "img_code_s16.0.weight"
        fields = {"channels": extent(plain, first)}
        if "ca_net.fc.weight" in plain:
            fields["condition_dim"] = extent(plain, "ca_net.fc.weight") // 4
        joint = "COND_DNET.jointConv.0.weight"
        return _image_size(plain), fields, extent(plain, joint, 1) - extent(plain, joint)

    def _scale(self, state: StateDict, size: int) -> dict[tuple[str, ...], np.ndarray]:
        """Flat variables of one scale."""
        state, normalized = _split(state)
        spectral = "COND_DNET.jointConv.0" in normalized
        layers = discriminator_layers(size, spectral, "img_code_s1.0.weight" in state)
        kernels = {k: (*v, "conv") if k in normalized else v for k, v in layers.items()}
        tree = flatten_dict(to_variables(self._flat(state), kernels))
        for layer, arrays in normalized.items():
            for (collection, leaf), array in arrays.items():
                array = np.asarray(array, np.float32)
                if leaf == "v":
                    kernel = state[f"{layer}.weight"].shape[1:]
                    array = array.reshape(kernel).transpose(1, 2, 0).reshape(-1)
                tree[(collection, *layers[layer], leaf)] = array
        return tree

    def export_discriminator(
        self, discriminator: nn.Module, variables: Mapping[str, Any], counts: bool = True
    ) -> list[StateDict]:
        """The inverse of `import_discriminator`: one state dict a scale. Arguments as in
        `export_generator`.
        """
        states, spectral = [], discriminator.norm == "spectral"
        for i, size in enumerate(discriminator.image_sizes):
            layers = discriminator_layers(size, spectral, discriminator.dnm)
            normalized = {v: k for k, v in layers.items() if spectral and _is_normalized(k)}
            kernels = {k: (*v, "conv") if v in normalized else v for k, v in layers.items()}
            plain, extra = {}, {}
            for (collection, net, *path, leaf), array in flatten_dict(dict(variables)).items():
                if net != f"nets_{i}":
                    continue
                if tuple(path) in normalized:
                    extra[(normalized[tuple(path)], collection, leaf)] = np.asarray(array)
                else:
                    plain[(collection, *path, leaf)] = array
            state = self._points(to_state_dict(unflatten_dict(plain), kernels, counts))
            states.append(_join(state, extra, set(normalized.values())))
        return states

    def _flat(self, state: StateDict) -> StateDict:
        """With the weights of `linear` layers as matrices."""
        ends = tuple(f"{name}.weight" for name in self.linear)
        return {k: v.reshape(v.shape[:2]) if k.endswith(ends) else v for k, v in state.items()}

    def _points(self, state: StateDict) -> StateDict:
        """The inverse of `_flat`."""
        for name, axes in self.linear.items():
            for key, array in state.items():
                if key.endswith(f"{name}.weight"):
                    state[key] = array.reshape(*array.shape, *(1,) * (axes - 2))
        return state


def first_stage(prefix: str, ups: int, path: tuple[str, ...]) -> Layers:
    """Of G, and of the decoder in DR-GAN's discriminators."""
    layers = {f"{prefix}.fc.0": (*path, "fc"), f"{prefix}.fc.1": (*path, "bn")}
    for i in range(1, ups + 1):
        layers |= pair(f"{prefix}.upsample{i}", (1, 2), (*path, f"up{i}"))
    return layers


def discriminator_layers(image_size: int, spectral: bool, dnm: bool) -> Layers:
    """The release's layer names of one scale and our paths in a `ScaleDiscriminator`; for a
    spectrally normalised layer the path of the whole layer.
    """
    steps = image_size.bit_length() - 3  # strided convolutions down to 4x4
    layers = {}

    def block(name: str, first: int, path: tuple[str, ...]) -> None:
        nonlocal layers
        if spectral:
            layers[f"{name}.{first}"] = path
        else:
            layers |= pair(name, (first, first + 1), path)

    if dnm:
        layers["ca_net.fc"] = ("dnm", "ca", "fc")
    layers["img_code_s16.0"] = ("trunk", "conv1")
    for i in range(2, min(steps, _ENCODER_STEPS) + 1):
        block("img_code_s16", 2 * i - 2 if spectral else 3 * i - 4, ("trunk", f"block{i}"))
    for i in range(_ENCODER_STEPS + 1, steps + 1):
        block(f"img_code_s{2**i}", 0, ("trunk", f"block{i}"))
    for i in range(1, steps - _ENCODER_STEPS + 1):
        block(f"img_code_s{2**steps}_{i}", 0, ("trunk", f"block{steps + i}"))
    if dnm:
        layers |= first_stage("h_net1", _ENCODER_STEPS, ("dnm", "decoder"))
        layers |= {"img_code_s1.0": ("dnm", "image"), "global_reduction.0": ("dnm", "project")}
        layers["global_reduction.1"] = ("dnm", "project_bn")
    layers["UNCOND_DNET.outlogits.0"] = ("uncond_logit", "conv")
    block("COND_DNET.jointConv", 0, ("join",))
    layers["COND_DNET.outlogits.0"] = ("cond_logit", "conv")
    return layers


def _shapes(state: Mapping[str, np.ndarray]) -> dict[str, tuple[int, ...]]:
    return {name: array.shape for name, array in state.items()}


def _image_size(state: Mapping[str, np.ndarray]) -> int:
    steps = sum(k.startswith("img_code_s16.") and v.ndim == 4 for k, v in state.items())
    while f"img_code_s{2 ** (steps + 1)}.0.weight" in state:
        steps += 1
    return 4 * 2**steps


def _is_normalized(layer: str) -> bool:
    return layer.startswith(("img_code_s16.", "img_code_s32", "img_code_s64", "COND_DNET.joint"))


def _split(state: StateDict) -> tuple[StateDict, dict[str, dict[tuple[str, str], np.ndarray]]]:
    """(state with the kernels of spectrally normalised layers under plain names, what else these
    layers have: {layer: {(collection, our leaf): array}}).
    """
    plain, normalized = {}, {}
    for name, array in state.items():
        layer, mark, field = name.partition(_NORMALIZED)
        if not mark:
            plain[name] = array
            continue
        own = normalized.setdefault(layer, {})
        if field == "weight_bar":
            plain[f"{layer}.weight"] = array
        elif field == "bias":
            own["params", "bias"] = array
        elif field == "weight_u":
            own["spectral", "u"] = array
        elif field == "weight_v":
            own["spectral", "v"] = array
        else:
            plain[name] = array  # refused later, by its name
    return plain, normalized


def _join(state: StateDict, extra: Mapping[tuple[str, str, str], np.ndarray], layers) -> StateDict:
    """The inverse of `_split`, in its order."""
    joined = {}
    names = {
        ("params", "bias"): "bias",
        ("spectral", "u"): "weight_u",
        ("spectral", "v"): "weight_v",
    }
    for name, array in state.items():
        layer = name.rpartition(".")[0]
        if layer not in layers:
            joined[name] = array
            continue
        for (collection, leaf), field in names.items():
            value = extra.get((layer, collection, leaf))
            if value is not None:
                if leaf == "v":
                    height, width = array.shape[2:]
                    value = value.reshape(height, width, -1).transpose(2, 0, 1).reshape(-1)
                joined[f"{layer}{_NORMALIZED}{field}"] = value
        joined[f"{layer}{_NORMALIZED}weight_bar"] = array
    return joined
