"""Run directories: what a training leaves behind, and reading it back.

config.json       the resolved config
data.json         name and digest of the data, and digests of every record
provenance.json   every start: command, code, packages, devices, cost
owner.json        who trains there, if somebody does
tokenizer.json    the tokenizer with its vocabulary
metrics.jsonl     one line an interval;  log.txt: what the terminal showed;  curves.png
samples/          grids of fixed captions and noise during training, by the averaged networks;
raw/              the same by the networks as they are, where train.raw_grids asks for them
checkpoints/      Orbax, one directory a step
frozen/           networks that the run used and did not train, so that it can be sampled alone

What only reads a run to draw from it takes an exported folder too, see `t2i_jax.training.exported`.
"""

import json
import os

from ml_collections import ConfigDict

from t2i_jax import config as configs
from t2i_jax import paths
from t2i_jax.arguments import program
from t2i_jax.data import tokenizers
from t2i_jax.training import exported, sealed


def is_run(path: str | os.PathLike) -> bool:
    """Whether a path is a run directory. Folders of other programs have a config.json too.

    Raises ValueError and OSError as `paths.path` and `paths.told`.
    """
    if not path:
        return False
    file = paths.path(path) / "config.json"
    if not paths.exists(file) or file.is_dir():
        return False
    try:
        found = json.loads(paths.read_bytes(file).decode("utf-8"))
    except ValueError:
        return True  # a damaged one
    return "system" in found or sealed.SEAL in found


def checkpoints_dir(workdir: str | os.PathLike) -> paths.Path:
    """Where a run's checkpoints are."""
    return paths.path(workdir) / "checkpoints"


def check_whole(workdir: str | os.PathLike) -> None:
    """Raises ValueError for checkpoints without the config that they were trained with: what else
    belongs to the run could not be told.
    """
    found = checkpoints_dir(workdir).glob("*/config/config.json")
    steps = {int(p.parts[-3]): p for p in found if p.parts[-3].isdigit()}
    if steps and not is_run(workdir):
        raise ValueError(
            f"{paths.path(workdir) / 'config.json'} is missing or no run's, but there are "
            f"checkpoints. Copy {steps[max(steps)]} there, or start in another workdir"
        )


def read_config(workdir: str | os.PathLike, trust_modules: bool = False) -> ConfigDict:
    """The resolved config of a run.

    trust_modules: whether an exported folder may name modules that are not this library's.

    Raises FileNotFoundError where `workdir` is no run, ValueError for a damaged one and for modules
    that are not trusted.
    """
    if not is_run(workdir):
        raise FileNotFoundError(
            f"{workdir} is no run directory: it has no config.json of one "
            f"(train one with {program('train')} --config=... --workdir=...)"
        )
    config = configs.from_dict(sealed.read(paths.path(workdir) / "config.json"))
    if exported.is_export(workdir) and not trust_modules:
        exported.check_modules(workdir, config)
    return config


def write_config(workdir: str | os.PathLike, config: ConfigDict) -> None:
    """Writes ``config.json``, whole or not at all."""
    sealed.write(paths.path(workdir) / "config.json", json.loads(configs.to_json(config)))


def write_tokenizer(workdir: str | os.PathLike, tokenizer: tokenizers.Tokenizer) -> None:
    """Writes ``tokenizer.json``."""
    sealed.write(paths.path(workdir) / "tokenizer.json", tokenizer.to_json())


def has_tokenizer(workdir: str | os.PathLike) -> bool:
    """Whether the run has a tokenizer, and so text."""
    return paths.exists(paths.path(workdir) / "tokenizer.json")


def read_tokenizer(workdir: str | os.PathLike) -> tokenizers.Tokenizer:
    """FileNotFoundError where the run has none, ValueError for a damaged one."""
    path = paths.path(workdir) / "tokenizer.json"
    if not has_tokenizer(workdir):
        raise FileNotFoundError(f"{path} is missing: this run has no text")
    state = sealed.read(path)
    try:
        return tokenizers.from_json(state)
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} describes no tokenizer: {error!r}") from error


def load_ema(
    workdir: str | os.PathLike, step: int | None = None, trust_modules: bool = False
) -> tuple[ConfigDict, dict]:
    """(config, averaged networks) of a run, on one device; the latest checkpoint by default.

    Changes nothing in the run, which may be training. Raises FileNotFoundError where there is no
    run, or no such checkpoint, ValueError for a damaged one, and otherwise as `read_config`.
    """
    config = read_config(workdir, trust_modules)
    if exported.is_export(workdir):
        return config, {"stats": {}, **exported.load_ema(workdir, step)}
    with _checkpoints(workdir) as reader:
        ema, _ = reader.restore_ema(step)
    return config, {"stats": {}, **ema}  # empty dicts are not stored


def load_live(workdir: str | os.PathLike, network: str, step: int | None = None) -> dict:
    """``{"params": {network: ...}, "stats": ...}`` of a run as training left it, not averaged: of
    networks that samples do without, such as D. Raises as `load_ema`; an exported folder has none.
    """
    with _checkpoints(workdir) as reader:
        return {"params": {}, "stats": {}, **reader.restore_live(network, step)}


def steps(workdir: str | os.PathLike) -> list[int]:
    """The steps of all whole checkpoints of a run, in order."""
    if exported.is_export(workdir):
        return [exported.manifest(workdir)["step"]]
    with _checkpoints(workdir) as reader:
        return reader.steps()


def latest_step(workdir: str | os.PathLike) -> int | None:
    """The step that `load_ema` takes by default; None where there is none."""
    from t2i_jax.training import step_folder

    if exported.is_export(workdir):
        return exported.manifest(workdir)["step"]
    return max(step_folder.steps_in(checkpoints_dir(workdir), step_folder.SAMPLING), default=None)


def best_step(workdir: str | os.PathLike) -> int | None:
    """The checkpoint that is best by ``config.evals.best``, or None where nothing chose one."""
    mode = read_config(workdir).evals.get("best_mode", "max")
    with _checkpoints(workdir, best_mode=mode) as reader:
        return reader.best_step()


def ema_records(workdir: str | os.PathLike, step: int) -> dict[str, dict]:
    """What tells the averaged networks of a checkpoint from others: shapes, types and checksums of
    their leaves, the same for a run and what is exported of it.
    """
    from t2i_jax.training import leaves, step_folder

    if exported.is_export(workdir):
        return leaves.summarize(leaves.flatten(exported.load_ema(workdir, step)))
    return step_folder.StepFolder(checkpoints_dir(workdir) / str(step)).records()["ema"]


def _checkpoints(workdir: str | os.PathLike, **options):
    from t2i_jax.training.checkpoints import Checkpoints  # Orbax is slow to import

    return Checkpoints(checkpoints_dir(workdir), read_only=True, **options)
