"""Which prepared set is meant where no source is given, and only a part of its options."""

import dataclasses

from t2i_jax.data import catalog
from t2i_jax.data.names import find_data_set
from t2i_jax.data.report import DataError


def needs_source(name: str) -> bool:
    """Whether a data set, named with its config or without, is made from the user's files."""
    return bool(find_data_set(name.partition("/")[0]).load().MANUAL_DOWNLOAD_INSTRUCTIONS)


def prepared(
    name: str,
    data_dir: str,
    *,
    called: str = "",
    split_kind: str = "",
    max_side: int | None = None,
    **options,
) -> str:
    """The full name, such as "cub/disjoint_side152", of the one prepared set that agrees with all
    that is given.

    name: as for `catalog.full_name`, with the config or without.
    called, split_kind, max_side, options: as for `catalog.prepare`.

    Raises:
      NotPrepared: no prepared set agrees.
      DataError: several do, and the message names them; or an option that the set does not have.
    """
    if "/" in name:
        return catalog.full_name(name, data_dir)
    kind = catalog.word(called) if called else split_kind
    config = catalog.config_for(name, find_data_set(name), kind, max_side, options)
    parts = set(dataclasses.replace(config, kind="").name_parts()) - {""}
    configs = catalog.prepared_configs(name, data_dir)
    found = [prepared for prepared in configs if _agrees(prepared, kind, parts)]
    if len(found) > 1:
        choice = ", ".join(f"--dataset={name}/{config}" for config in found)
        raise DataError(f"{data_dir} holds several such preparations of {name}; name one: {choice}")
    wanted = found[0] if found else config.name
    return catalog.full_name(f"{name}/{wanted}" if configs else name, data_dir)


def _agrees(prepared: str, kind: str, parts: set[str]) -> bool:
    rest = prepared.removeprefix(kind)
    same_kind = prepared.startswith(kind) and (not kind or rest[:1] in ("", "_"))
    return same_kind and parts <= set(rest.split("_"))
