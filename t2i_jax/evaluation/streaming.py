"""From images to features on disk: drawn, seen by a network and forgotten, a batch at a time."""

import functools
import itertools
import pathlib
import warnings
from collections.abc import Callable, Iterator

import jax
import numpy as np
from rich.console import Console

from t2i_jax.data.prepare_progress import track
from t2i_jax.evaluation.extractors.base import TEXT, DualEncoder, Extractor
from t2i_jax.evaluation.feature_store import FeatureStore
from t2i_jax.evaluation.image_sets import ImageSet

_MADE = itertools.count()  # a meeting of processes needs a name of its own each time

See = Callable[[ImageSet, int, int], dict[str, np.ndarray]]  # of images start..stop


def extracted(
    images: ImageSet,
    network: Extractor | DualEncoder,
    root: pathlib.Path,
    batch_size: int,
    console: Console | None = None,
    prefix: str = "",
    processes: int | None = None,
) -> FeatureStore:
    """The features of all images, in a store under `root`: those that are there already are not
    made again, so that a process that was killed loses a batch at most. Of a dual encoder the
    vectors of the captions are among them, as the layer `TEXT`.

    console: where progress is shown; None shows none.
    prefix: put before every caption.
    processes: that share the work, on a common disk; None: all that there are. All return when all
        are done.
    """
    see, extractor, widths = _seen_by(network, prefix)
    if isinstance(network, DualEncoder):
        widths[TEXT] = network.text([prefix + images.captions(0, 1)[0]]).shape[1]
    identity = {
        "images": images.identity,
        "extractor": {"name": extractor.name, "digest": extractor.digest},
        "texts": None,
    }
    if isinstance(network, DualEncoder):
        identity["texts"] = {"prefix": prefix, "encoder": dict(network.parts)}
    processes = jax.process_count() if processes is None else processes
    process = jax.process_index() if processes > 1 else 0
    store = FeatureStore(root, identity, len(images), widths, processes)
    say = functools.partial(console.print, highlight=False) if console else lambda _: None
    if store.done(process) < len(range(*store.stretches[process])):
        with store.writing(process, say):
            _fill(store, process, images, see, batch_size, extractor.name, console)
    if processes > 1:
        from t2i_jax.training.checkpoints import meet  # Orbax is slow to import

        meet(f"features made {next(_MADE)}")
    return store


def _seen_by(
    network: Extractor | DualEncoder, prefix: str
) -> tuple[See, Extractor, dict[str, int]]:
    if isinstance(network, Extractor):
        return (
            lambda images, start, stop: network.extract(images.images(start, stop)),
            network,
            dict(network.widths),
        )

    first = True

    def see(images: ImageSet, start: int, stop: int) -> dict[str, np.ndarray]:
        nonlocal first
        captions = [prefix + caption for caption in images.captions(start, stop)]
        rows = network.images.extract(images.images(start, stop))
        with warnings.catch_warnings():
            if not first:  # what captions are cut or unknown is said once, not at every batch
                warnings.simplefilter("ignore")
            first = False
            return {**rows, TEXT: network.text(captions)}

    return see, network.images, dict(network.images.widths)


def _fill(
    store: FeatureStore,
    stretch: int,
    images: ImageSet,
    see: See,
    batch_size: int,
    name: str,
    console: Console | None,
) -> None:
    start, stop = store.stretches[stretch]
    done, title = store.done(stretch), f"{images.title} seen by {name}"
    if done and console is not None:
        console.print(f"{title}: {done:,} were done before", highlight=False)

    def made() -> Iterator[int]:  # an item an image, for the progress
        for begin in range(start + done, stop, batch_size):
            end = min(begin + batch_size, stop)
            store.append(see(images, begin, end), stretch)
            yield from range(begin, end)

    for _ in track(made(), title, stop - start - done, console):
        pass
