"""The model card of an exported folder: a README.md as the Hugging Face Hub shows it.

All that it says is read from the run: its config, ``data.json``, ``provenance.json`` and
``evaluation/results.jsonl``. What a run did not write down is said to be unknown.
"""

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from t2i_jax import paths
from t2i_jax.evaluation.feature_store import digest
from t2i_jax.evaluation.results import OF_REAL, Record
from t2i_jax.exporting.papers import PAPERS, Paper
from t2i_jax.reporting import cost, run_files
from t2i_jax.reporting.markdown import plain, table_of
from t2i_jax.training import modules, networks, run_data, runs, sealed

_UNKNOWN = "not written down"


def text(
    workdir: str | os.PathLike,
    step: int,
    license: str,
    name: str,
    captions: Sequence[str],
    picture: str,
) -> str:
    """The card of a run's checkpoint. Raises ValueError where a file of the run is damaged.

    license: "" where none is given. name: of the folder or repository. captions: of which the first
    is the example. picture: the file of samples, "" where there is none.
    """
    config, place = runs.read_config(workdir), paths.path(workdir)
    known = run_files.read(place, "", None, [])
    data = sealed.read(place / run_data.FILE) if paths.exists(place / run_data.FILE) else {}
    named = data_name(config) if step else ""  # a run's first checkpoint is imported weights
    system = config.system.rpartition(".")[2]
    paper = PAPERS.get(config.system, Paper(system, "", ""))
    shown = f"![Samples]({picture})" if picture else "No picture of samples was made."
    size = _size(workdir, config)
    weights = digest(runs.ema_records(workdir, step))
    return "\n\n".join(
        [
            _front_matter(config, system, license, named),
            f"# {plain(paper.name)}{' on ' * bool(named)}{plain(named)}, {size} px",
            _what_it_is(config, paper, plain(named), size),
            shown,
            f"## Use\n\n```python\n{_use(config, name, captions, size)}\n```",
            "It needs the Python package `t2i_jax`; `docs/sharing.md` there tells more.",
            "## Provenance\n\n" + table_of(("", ""), _provenance(config, known, data, step), 2),
            f"## Numbers\n\n{_numbers(known.records, step, weights)}",
            f"## Limitations\n\n{_limitations(config, workdir, size)}\n",
        ]
    )


def check_license(license: str) -> None:
    """Raises ValueError for what the Hub would refuse as a name; "" is none."""
    if license and not re.fullmatch(r"[a-z0-9][a-z0-9.+-]*", license):
        raise ValueError(
            f"license {license!r}: the Hub's names are of small letters, digits, '.', '-' and '+', "
            "such as mit, apache-2.0, cc-by-4.0, other"
        )


def data_name(config) -> str:
    """The name of a run's data set, without the module of a user's own."""
    name, slash, edition = config.data.name.partition("/")
    return name.replace(":", ".").rpartition(".")[2] + slash + edition


def _reads(config) -> bool:
    return bool(config.encoder.name) or config.data.get("text") == "embeddings"


def _size(workdir: str | os.PathLike, config) -> int:
    """The width of its largest images, in pixels."""
    generator = modules.make_recipe(config, networks.kept_modules(workdir, config)).generator
    return max(getattr(generator, "image_sizes", None) or (generator.image_size,))


def _front_matter(config, system: str, license: str, data: str) -> str:
    """What the Hub reads: YAML, whose strings may be JSON's."""
    task = "text-to-image" if _reads(config) else "unconditional-image-generation"
    fields = {"library_name": "t2i_jax", "pipeline_tag": task}
    if license:
        fields["license"] = license
    if data:
        fields["datasets"] = [data.partition("/")[0]]  # "x/y" would be a user's y on the Hub
    fields |= {"tags": [task, "gan", "jax", "flax", system.replace("_", "-")]}
    return "\n".join(
        ["---", *(f"{k}: {json.dumps(v, ensure_ascii=False)}" for k, v in fields.items()), "---"]
    )


def _what_it_is(config, paper: Paper, data: str, size: int) -> str:
    what = "text-to-image GAN" if _reads(config) else "GAN that draws without text"
    whence = f"trained on {data} with t2i_jax" if data else "whose published weights are imported"
    said = f"A {what}, {whence}. It draws images of {size} px"
    said += " from captions." if config.encoder.name else "."
    if paper.title:
        link = f"[arXiv {paper.arxiv}](https://arxiv.org/abs/{paper.arxiv})"
        said += f" The system is {paper.name}: {paper.title} ({link})."
    return f"{said} The weights are the generator's moving averages."


def _use(config, name: str, captions: Sequence[str], size: int) -> str:
    """Three lines."""
    if config.encoder.name:
        asked = f"{json.dumps([*captions[:1]] or ['your caption'], ensure_ascii=False)}, num=4"
    else:
        asked = "embeddings, num=4" if _reads(config) else "num=4"
    return (
        "from t2i_jax import Sampler\n"
        f"sampler = Sampler.from_pretrained({json.dumps(name, ensure_ascii=False)})\n"
        f"images = sampler.sample({asked}, seed=0)  # uint8 [4, {size}, {size}, 3]"
    )


def _provenance(
    config, known: run_files.Run, data: Mapping[str, Any], step: int
) -> Iterator[tuple[str, str]]:
    yield "system", f"`{config.system}`"
    encoder = f"{config.encoder.name}, {config.encoder.train}" if config.encoder.name else "none"
    yield "text encoder", plain(encoder)
    if not step:
        yield "training", "elsewhere, by those who published the weights"
        return
    yield "data set", plain(f"{data_name(config)}, split {data.get('split', config.data.split)}")
    yield "images in it", f"{data['records']:,}" if "records" in data else _UNKNOWN
    yield "digest of the data", f"`{data['digest']}`" if "digest" in data else _UNKNOWN
    yield "steps", f"{step:,}, of {config.data.batch * config.d_steps:,} images each"
    took = known.cost
    if took is None:
        yield "machine, cost and code", _UNKNOWN
        return
    whole = "" if took.step == step else f" (of all {took.step:,} steps of the run)"
    yield "machine", plain(took.machine)
    hours = f"{cost.duration(took.hours)}, {took.device_hours:,.2f} device-hours"
    yield "time", f"{hours}, {took.images:,} images{whole}"
    yield "code", f"`{took.code}`" if took.code else "an installed t2i_jax"


def _numbers(records: Sequence[Record], step: int, weights: str) -> str:
    """A table of what was measured of these very weights, under which conditions."""
    found: dict[tuple[str, str], Record] = {}
    for record in records:
        measured = (record.conditions.get("run") or record.conditions).get("weights", weights)
        if record.step == step and measured == weights:
            found[record.protocol, _conditions(record)] = record  # the last of equals
    rows = [row for record in found.values() for row in _rows(record)]
    if not rows:
        return "Nothing was measured of these weights."
    heads = ("protocol", "conditions", "number", "value", "of real images")
    return table_of(heads, rows, 3) + (
        "\n\nNumbers of different protocols, or under other conditions, are not to be compared. "
        "↓: less is better."
    )


def _rows(record: Record) -> Iterator[tuple[str, ...]]:
    for name, value in record.values.items():
        if name.endswith(OF_REAL) or value is None:
            continue
        spread = f" ± {record.spreads[name]:.2g}" if name in record.spreads else ""
        real = record.values.get(f"{name}{OF_REAL}")
        yield (
            plain(record.protocol),
            plain(_conditions(record)),
            plain(name) + (" ↓" if name in record.lower_is_better else ""),
            f"{value:.4g}{spread}",
            "" if real is None else f"{real:.4g}",
        )


def _conditions(record: Record) -> str:
    """In words, without the places of one machine."""
    found, said = record.conditions, []
    if count := found.get("samples", found.get("n")):
        said.append(f"{count:,} samples" if isinstance(count, int) else f"{count} samples")
    captions = found.get("captions")
    if isinstance(captions, Mapping) and "data" in captions:
        said.append(f"captions of {captions['data']} ({captions.get('rule', 'all')})")
    for field in ("reference", "yardstick"):
        if isinstance(found.get(field), Mapping) and "title" in found[field]:
            said.append(f"{field}: {found[field]['title']}")
    for field in ("extractor", "features", "classifier"):
        if isinstance(found.get(field), str):
            mark = str(found.get(f"{field}_digest", ""))[:8]
            said.append(f"{field} {found[field]}{f' {mark}' if mark else ''}")
    if "classifier_digest" in found:
        said.append(f"classifier {str(found['classifier_digest'])[:8]}")
    said += [f"{field} {found[field]}" for field in ("truncation", "seed") if found.get(field)]
    return "; ".join(said)


def _limitations(config, workdir: str | os.PathLike, size: int) -> str:
    said = [
        "It draws what its training images show, at their size and with their biases; other "
        f"things and scenes it does not know. Images are {size} by {size} px.",
        "Nothing filters captions or images.",
    ]
    if config.encoder.name:
        read = runs.read_tokenizer(workdir)
        parts = {"char": "characters", "word": "words"}.get(read.name, "pieces of words")
        limit = f"Of a caption it reads the first {read.length} {parts}"
        if read.name == "word":
            limit += f", and knows {read.vocab_size:,} words: others are left out"
        said.append(f"{limit}. Captions unlike those of the training are read badly.")
    return "\n".join(f"- {line}" for line in said)
