"""Exported folders on the Hugging Face Hub: download and upload, by ``huggingface_hub``."""

import contextlib
import os
import pathlib
import re
from collections.abc import Iterator

from t2i_jax import paths
from t2i_jax.training import exported

_NAME = re.compile(r"[\w.-]+/[\w.-]+")


def folder(
    name: str | os.PathLike, revision: str | None = None, token: str | bool | None = None
) -> paths.Path:
    """A folder that is there, or the local copy of ``"user/name"`` on the Hub, of which files that
    have changed are downloaded.

    Raises FileNotFoundError where `name` is neither, ValueError where the package for downloads is
    missing, OSError where the Hub does not give it.
    """
    if paths.exists(place := paths.path(name)):
        if revision is not None:
            raise ValueError(f"{name} is a folder here, without revisions: leave out {revision!r}")
        return place
    if not _NAME.fullmatch(text := os.fspath(name)):
        raise FileNotFoundError(f"{name}: there is no such folder, nor is it USER/NAME on the Hub")
    download, wanted = _library().snapshot_download, [*exported.FILES, *exported.BESIDE]
    with _told(f"{text} is no folder here, and the Hub does not give it"):
        place = download(text, revision=revision, token=token, allow_patterns=wanted)
    return pathlib.Path(place)


def push(
    folder: str | os.PathLike,
    name: str,
    private: bool | None = None,
    token: str | bool | None = None,
    revision: str | None = None,
) -> str:
    """Uploads an exported folder, when it is whole, as one commit to the repository `name`, which
    is made where there is none. Returns its address.

    private: whether a new repository is; by default as the account has it.
    token: by default that of ``hf auth login`` or $HF_TOKEN.
    revision: a branch; by default the main one.

    Raises ValueError for a name that is not USER/NAME, and as `exported.check`; OSError where the
    Hub refuses.
    """
    check_name(name)
    step = exported.check(folder)["step"]
    with _told(f"{name}: the Hub did not take {folder}"):
        api = _library().HfApi(token=token)
        api.create_repo(name, private=private, exist_ok=True)
        if revision is not None:
            api.create_branch(name, branch=revision, exist_ok=True)
        done = api.upload_folder(
            repo_id=name,
            folder_path=folder,
            revision=revision,
            allow_patterns=[*exported.FILES, *exported.BESIDE],
            commit_message=f"Step {step}, exported by t2i_jax",
            delete_patterns=[exported.TOKENIZER, exported.ENCODER],  # of another run before
        )
        return str(done.repo_url)


def check_name(name: str) -> None:
    """Raises ValueError for what is no USER/NAME, and where the package for uploads is missing."""
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name on the Hub: write USER/NAME")
    _library()


def _library():
    try:
        import huggingface_hub
    except ImportError as error:
        raise ValueError(
            "the Hugging Face Hub is reached by a package of its own: pip install 't2i_jax[hub]'"
        ) from error
    return huggingface_hub


@contextlib.contextmanager
def _told(what: str) -> Iterator[None]:
    """Inside, whatever the package raises for a repository, a token or the network becomes an
    OSError of one line.
    """
    try:
        yield
    except Exception as error:  # of many types, some of the HTTP library below
        why = " ".join(str(error).split())[:400] or type(error).__name__
        raise OSError(f"{what}: {type(error).__name__}: {why}") from error
