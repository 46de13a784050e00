"""What the tests of the stand-ins under torch (launch/stand_ins) share."""

import importlib
import pathlib
import sys

import jax
import numpy as np
import torch

from t2i_jax.profiling.step_time import make_workload
from t2i_jax.training.fields import resolve
from t2i_jax.training.step import init_state

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "launch"))

ROWS = 4


def stand_in(spec: str, overrides=(), **options):
    """The `Step` of a config's stand-in, with options in the place of few rows of few words."""
    config = resolve(spec, overrides).config.to_dict()
    step = importlib.import_module(f"stand_ins.{config['system']}").Step
    return step(config, **{"rows": ROWS, "words": 5, **options})


def our_parameters(spec: str, overrides=()) -> dict[str, int]:
    """Trained parameters by player of our own networks, whose weights are never made."""
    work = make_workload(resolve(spec, ["data.batch=2", *overrides]).config)
    state = jax.eval_shape(
        lambda frozen: init_state(work.system.recipe, work.options, work.batch, frozen),
        work.system.variables,
    )
    return {
        player: sum(x.size for x in jax.tree.leaves(tree)) for player, tree in state.params.items()
    }


def check_steps(step) -> None:
    """The losses have our names and are finite; steps change both players', and every parameter."""
    before = [p.detach().clone() for net in (step.g, *step.ds) for p in net.parameters()]
    sections = step.config["loss"].items()
    wanted = {f"{player}/{k}" for player, terms in sections for k, w in terms.items() if w}
    first = step()
    assert set(first) == wanted
    for _ in range(2):
        last = step()
    assert all(np.isfinite(x) for x in last.values()), last
    changed = {name.split("/")[0] for name in wanted if first[name] != last[name]}
    assert changed == {"g", "d"}, changed
    after = [p for net in (step.g, *step.ds) for p in net.parameters()]
    assert all((x != y).any() for x, y in zip(before, after, strict=True))


def golden(folder: pathlib.Path, name: str) -> dict[str, np.ndarray]:
    """A file of reference numbers."""
    with np.load(folder / f"{name}.npz") as arrays:
        return dict(arrays)


def part(arrays: dict[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    """Its arrays below a prefix."""
    return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}


def load(net, arrays: dict[str, np.ndarray], rename=lambda name: name) -> None:
    """Gives a network all of its weights, renamed from the authors' names; what their code makes
    and never uses is left over.
    """
    found = {rename(name): torch.tensor(x) for name, x in arrays.items()}
    net.load_state_dict({name: found[name] for name in net.state_dict()})


def iterate_as_published(net) -> None:
    """Every call of a spectrally normalised layer makes its power iteration in the order of the
    authors' codes, which begin with the other vector than torch does.
    """

    @torch.no_grad()
    def iterate(module, _):
        norm = module.parametrizations.weight[0].eval()
        matrix = module.parametrizations.weight.original.flatten(1)
        norm._v.copy_(torch.nn.functional.normalize(matrix.T @ norm._u, dim=0))
        norm._u.copy_(torch.nn.functional.normalize(matrix @ norm._v, dim=0))

    for module in net.modules():
        if hasattr(module, "parametrizations"):
            module.register_forward_pre_hook(iterate)
