"""What the stand-ins have in common: placing networks, updating them, random data, DAMSM's weights.

A stand-in is one class, `Step`, in a file that has the system's name. It subclasses `GanStep`,
gives the networks in `build` and one train step in `update`, and reads every size from our config,
as ``t2i_jax.training.fields.resolve(spec, overrides).config.to_dict()`` gives it.
"""

import abc
import contextlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SENTENCE = 1024  # numbers of a stored sentence vector, where the config describes no encoder
WORDS = 5_450  # ids of a vocabulary, as `t2i_jax.benchmark` assumes where there is no data set
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


class GanStep(abc.ABC):
    """One train step of a GAN on fixed random data.

    config: our config as a plain nested dict; of it a subclass reads the sections of its networks
        and the weights, of which those above 0 are computed.
    rows: images of a batch. words: tokens of a caption; read by systems that read words.
    dtype: "bfloat16" runs the networks under autocast; parameters and losses stay float32.
    channels_last: the memory format of maps.
    lean: G's update leaves out the gradients of D's weights, which the authors' loops compute and
        throw away; a system's module says what else.

    ValueError for an unknown dtype, or, in a step, where the config weighs terms that the system's
    stand-in does not have.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        *,
        rows: int,
        words: int,
        device: str = "cpu",
        dtype: str = "float32",
        channels_last: bool = False,
        lean: bool = False,
    ):
        if dtype not in DTYPES:
            raise ValueError(f"dtype={dtype!r}: must be one of {', '.join(DTYPES)}")
        torch.manual_seed(0)
        self.config, self.rows, self.words, self.lean = config, rows, words, lean
        self.device, self.dtype = torch.device(device), DTYPES[dtype]
        self.format = torch.channels_last if channels_last else torch.contiguous_format
        self._frozen: list[nn.Module] = []
        g, ds = self.build()
        self.g, self.ds = self.place(g), [self.place(d) for d in ds]
        self._optimizers = {net: self._adam(p, net) for p, nets in self.players() for net in nets}
        self._decay = config["ema"]["decay"]
        averaged = self.g.parameters() if self._decay else ()
        self.average = [p.detach().clone() for p in averaged]

    @abc.abstractmethod
    def build(self) -> tuple[nn.Module, Sequence[nn.Module]]:
        """G and the networks of D, each of which has an optimizer of its own. Frozen networks go
        through `freeze` here, fixed data are drawn by `images`, `normal` and `tokens`.
        """

    @abc.abstractmethod
    def update(self) -> dict[str, Tensor]:
        """The updates of all players: scalars by ``"<player>/<term>"``."""

    def __call__(self) -> dict[str, float]:
        """One whole train step: the losses, unweighted, by our names."""
        losses = self.update()
        sections = self.config["loss"].items()
        wanted = {f"{p}/{name}" for p, weights in sections for name, w in weights.items() if w}
        if set(losses) != wanted:
            raise ValueError(f"the stand-in has the terms {sorted(losses)}, not {sorted(wanted)}")
        if self.average:
            torch._foreach_lerp_(self.average, list(self.g.parameters()), 1.0 - self._decay)
        names = list(losses)
        # One transfer for all of them.
        values = torch.stack([losses[name].detach().float() for name in names]).tolist()
        return dict(zip(names, values, strict=True))

    def players(self) -> Iterable[tuple[str, Sequence[nn.Module]]]:
        """Trained networks by player."""
        return ("g", [self.g]), ("d", self.ds)

    def parameters(self) -> dict[str, int]:
        """Trained parameters by player."""
        return {player: count(nets) for player, nets in self.players()}

    def frozen(self) -> int:
        """Parameters of the networks that are not trained."""
        return count(self._frozen)

    # -- building -------------------------------------------------------------------------------

    def place(self, net: nn.Module) -> nn.Module:
        """The network on the device, in training mode."""
        return net.to(self.device, memory_format=self.format).train()

    def freeze(self, net: nn.Module) -> nn.Module:
        """The network on the device, in evaluation mode, without gradients of its own."""
        net = self.place(net).eval().requires_grad_(False)
        self._frozen.append(net)
        return net

    def images(self, size: int, channels: int = 3) -> Tensor:
        """[rows, channels, size, size] uniform in [-1, 1]."""
        x = torch.rand(self.rows, channels, size, size, device=self.device) * 2.0 - 1.0
        return x.contiguous(memory_format=self.format)

    def normal(self, *shape: int) -> Tensor:
        """[rows, *shape] standard normal: fixed data in `build`, noise in `update`."""
        return torch.randn(self.rows, *shape, device=self.device)

    def tokens(self, vocabulary: int) -> Tensor:
        """[rows, words] ids from 1 on: captions that fill their row, as the benchmark has them."""
        return torch.randint(1, vocabulary, (self.rows, self.words), device=self.device)

    def sentence_size(self) -> int:
        """Numbers of a sentence vector."""
        return self.config["encoder"]["fields"].get("embedding", SENTENCE)

    def _adam(self, player: str, net: nn.Module) -> torch.optim.Adam:
        options = self.config["optim"][player]
        betas = options["b1"], options["b2"]
        return torch.optim.Adam(
            net.parameters(), options["lr"], betas=betas, eps=options["eps"], fused=True
        )

    # -- updating -------------------------------------------------------------------------------

    def autocast(self) -> contextlib.AbstractContextManager:
        """For forward passes: products in the compute dtype."""
        return torch.autocast(
            self.device.type, dtype=torch.bfloat16, enabled=self.dtype != torch.float32
        )

    def on(self, term: str) -> bool:
        """Whether the config gives the term, such as "g/kl", a weight."""
        player, name = term.split("/")
        return self.config["loss"][player].get(name, 0.0) != 0.0

    def total(self, player: str, losses: Mapping[str, Tensor]) -> Tensor:
        """The weighted sum of losses by ``"<player>/<term>"``."""
        weights = self.config["loss"][player]
        return sum(weights[name.split("/")[1]] * value for name, value in losses.items())

    def descend(self, net: nn.Module, player: str, losses: Mapping[str, Tensor]) -> None:
        """Backward and one optimizer update of `net` by the `total` of these terms of the player,
        which may be some of them. Call it outside of `autocast`.
        """
        total, optimizer = self.total(player, losses), self._optimizers[net]
        optimizer.zero_grad(set_to_none=True)
        total.backward(inputs=list(net.parameters()) if self.lean else None)
        optimizer.step()


def count(nets: Iterable[nn.Module]) -> int:
    """Numbers that are parameters, frozen ones included."""
    return sum(p.numel() for net in nets for p in net.parameters())


def bce(logits: Tensor, label: float) -> Tensor:
    """Mean binary cross-entropy against one label, in float32."""
    logits = logits.float()
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, label))


def gaussian_kl(mu: Tensor, logvar: Tensor) -> Tensor:
    """Of N(mu, exp(logvar)) from N(0, 1), the mean over the batch and the dimensions."""
    mu, logvar = mu.float(), logvar.float()
    return 0.5 * torch.mean(mu.square() + logvar.exp() - 1.0 - logvar)
