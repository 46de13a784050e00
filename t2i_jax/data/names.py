"""What a data set is called: the built-in names, and the modules of builders that are not ours."""

import dataclasses
import difflib
import importlib
import re

from t2i_jax.data.builders.base import Builder
from t2i_jax.data.report import DataError

_OURS = "t2i_jax.data.builders"
_IDENTIFIER = r"[^\W\d]\w*"
_PLACE = re.compile(rf"({_IDENTIFIER}(?:\.{_IDENTIFIER})*)(?::({_IDENTIFIER}))?")


@dataclasses.dataclass(frozen=True)
class DataSet:
    """A name of the command line and the configs.

    builder: "module:class".
    kinds: the kinds of splits or editions to choose from, the default first.
    """

    builder: str
    kinds: tuple[str, ...] = ()

    def load(self) -> type[Builder]:
        """The builder class. Importing it registers it with tfds."""
        module, name = self.builder.split(":")
        return getattr(importlib.import_module(module), name)


DATASETS: dict[str, DataSet] = {
    "toy_birds": DataSet(f"{_OURS}.toy_birds:T2iToyBirds"),
    "toy_birds_mixed": DataSet(f"{_OURS}.toy_birds:T2iToyBirdsMixed"),
    "cub": DataSet(f"{_OURS}.cub:T2iCub", ("disjoint", "official")),
    "flowers": DataSet(f"{_OURS}.flowers:T2iFlowers", ("disjoint", "official")),
    "coco": DataSet(f"{_OURS}.coco:T2iCoco", ("2014",)),
    "coco2017": DataSet(f"{_OURS}.coco:T2iCoco", ("2017",)),
    "ln_coco": DataSet(f"{_OURS}.localized_narratives:T2iLocalizedNarratives", ("coco",)),
    "ln_openimages": DataSet(
        f"{_OURS}.localized_narratives:T2iLocalizedNarratives", ("open_images",)
    ),
    "folder": DataSet(f"{_OURS}.folder:T2iFolder"),
}


def find_data_set(name: str) -> DataSet:
    """The data set of that name.

    name: one of `DATASETS`; or a module with a builder in it, such as "mylab.my_birds", and the
      class where the module has several: "mylab.my_birds:MyBirds".

    Raises:
      DataError: there is none.
    """
    if name in DATASETS:
        return DATASETS[name]
    place = _PLACE.fullmatch(name)
    if place and not name.isidentifier():
        return _own(name, *place.groups())
    near = difflib.get_close_matches(name, DATASETS, 1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise DataError(
        f"unknown data set {name!r}.{hint} There are: {', '.join(DATASETS)}; and a module with a "
        "builder of your own is named like mylab.my_birds or my_birds:MyBirds"
    )


def _own(name: str, module_name: str, class_name: str | None) -> DataSet:
    """The data set of a builder in somebody's own module."""
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise DataError(
            f"the data set {name!r} names the module {module_name}, which cannot be imported "
            f"({error}). A module must lie in the current folder or in a folder of PYTHONPATH, and "
            "what it imports must be installed."
        ) from error
    builders = {
        key: value
        for key, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, Builder) and value is not Builder
    }
    if class_name is None:
        builders = {k: v for k, v in builders.items() if v.__module__ == module_name}
        if len(builders) > 1:
            choice = ", ".join(f"{module_name}:{key}" for key in builders)
            raise DataError(f"{module_name} defines several builders; name one of: {choice}")
        class_name = next(iter(builders), None)
    if class_name not in builders:
        what = f"no builder {class_name}" if class_name else "no builder"
        raise DataError(
            f"the data set {name!r}: the module {module_name} has {what}, that is, no such "
            "subclass of t2i_jax.data.builders.base.Builder"
        )
    kinds = dict.fromkeys(config.kind for config in builders[class_name].BUILDER_CONFIGS)
    return DataSet(f"{module_name}:{class_name}", tuple(kinds))
