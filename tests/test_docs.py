"""What the documents show holds: their commands are understood by the commands themselves, with
configs and grids that resolve; their links lead somewhere; their Python names what there is.
"""

import ast
import contextlib
import importlib
import pathlib
import re
import sys

import pytest
from doc_checks import extras, loads, refused
from doc_commands import (
    DOCSTRINGS,
    PAGES,
    ROOT,
    SCRIPTS,
    Command,
    anchors,
    commands,
    links,
    python_blocks,
    spans,
    texts,
)

from t2i_jax import config as configs
from t2i_jax.training import fields

# What a command says that stands in a sentence without all that it needs.
LEFT_OUT = "arguments are required|is missing|expected "
# Options of other programs.
NOT_OURS = {"no-deps", "time", "help", "version", "signal", "no-requeue"}
OPEN = re.compile(r"(frozen|optim\.\w+\.(groups|clip))\.\w+")  # sections that take new names
SHOWN = {path: found for path in (*PAGES, *DOCSTRINGS, *SCRIPTS) if (found := list(commands(path)))}


@pytest.mark.parametrize("path", SHOWN, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_command_is_understood(path, monkeypatch, tmp_path):
    monkeypatch.chdir(ROOT)
    own = own_files(path, tmp_path) if path.suffix == ".md" else {}
    monkeypatch.syspath_prepend(str(tmp_path))
    wrong = []
    for command in SHOWN[path]:
        for words in command.forms():
            words = [own.get(word, word) for word in words]
            why = refused(words, monkeypatch)
            if why and not (command.mention and re.search(LEFT_OUT, why)):
                wrong.append(f"{command.place}: {command.text}\n    {why}")
                break
    for name in [name for name in sys.modules if name.split(".")[0] == "mylab"]:
        del sys.modules[name]
    assert not wrong, "\n" + "\n".join(wrong)


def own_files(page: pathlib.Path, folder: pathlib.Path) -> dict[str, str]:
    """Writes the files that a page shows; options that name them as configs, with their places."""
    text, options = page.read_text(), {}
    for block in re.finditer(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        name = (re.findall(r"`([\w/]+\.py)`", text[: block.start()]) or [""])[-1]
        if not name or "/" in name and name.split("/")[0] in ("configs", "t2i_jax"):
            continue
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(block[1])
        options[f"--config={name}"] = f"--config={folder / name}"
    return options


def test_pages_name_configs_as_an_installed_package_finds_them():
    """A reader has no folder configs/ unless in a checkout."""
    commanded = [f"{c.place}: {c.text}" for path in SHOWN for c in SHOWN[path]]
    by_path = re.compile(r"--(config|sweep)=configs/(?!mine\.py|x\.py)")
    pages = [told for told in commanded if ".md:" in told or told.startswith("configs/")]
    assert len(pages) > 100
    assert not [told for told in pages if by_path.search(told)]


def test_no_message_names_a_config_by_a_path_of_the_repository():
    """Nor does a help, which begins with the docstring of its module."""
    scopes = (ast.FunctionDef, ast.ClassDef, ast.Module)
    found = []
    for path in (ROOT / "t2i_jax").rglob("*.py"):
        tree = ast.parse(path.read_text())
        a_help = path.parent.name == "commands" or path.name == "command_line.py"
        silent = {
            id(node.body[0].value)
            for node in ast.walk(tree)
            if isinstance(node, scopes) and ast.get_docstring(node)
            if not (a_help and node is tree)
        }
        found += [
            f"{path}:{node.lineno}"
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant) and id(node) not in silent
            if re.search(r"configs/\w+\.py", str(node.value))
        ]
    assert not found


def test_a_wrong_command_is_found(monkeypatch):
    """Of every kind that the documents have."""
    monkeypatch.chdir(ROOT)
    config = "--config=configs/gan_int_cls.py:cub"
    imported = "t2i-jax import-weights --system=attn_gan --generator=FILE --workdir=RUN"
    of_another = "configs/ablations/dr_gan_modules.py"
    wrong = {
        f"python -m t2i_jax.train {config} --workdir=RUN --optim.g.rate=1": "optim.g",
        f"python -m t2i_jax.train {config}s --workdir=RUN": "cubs",
        "python -m t2i_jax.evaluate --protocol=tsne --out=DIR": "--workdir",
        "t2i-jax evaluate --protocol=tsme --workdir=RUN": "tsne",
        "t2i-jax import-weight --system=x": "import_weights",
        f"{imported} --generator.mask=1": "mask",
        f"python launch/sweep.py {config} --sweep={of_another} --workdir=D": "",
        "python launch/xmc_modulation.py --step=3 --formm=x": "formm",
        "bash launch/quickstrat.sh": "quickstrat",
        "pip install 't2i_jax[evaluation]'": "evaluation",
        "python -m pytest tests/peers/test_nothing.py": "test_nothing",
    }
    for text, why in wrong.items():
        told = refused(Command(None, text).forms()[0], monkeypatch)
        assert told and why in told, (text, told)


def test_options_of_imports_are_understood(monkeypatch):
    """Those in the table of published files, which leaves out what all commands have."""
    monkeypatch.chdir(ROOT)
    page = ROOT / "docs" / "weights.md"
    shown = [(place, text) for place, text in spans(page) if text.startswith("--system=")]
    common = "python -m t2i_jax.import_weights --generator=FILE --workdir=RUN".split()
    told = {
        f"{place}: {text}": refused(common + text.split(), monkeypatch) for place, text in shown
    }
    assert len(shown) > 8 and not any(told.values()), told


def test_links_lead_somewhere():
    wrong = []
    for page in PAGES:
        for place, target in links(page):
            path, _, anchor = target.partition("#")
            file = page.parent / path if path else page
            if not file.exists() or (anchor and anchor not in anchors(file)):
                wrong.append(f"{place}: {target}")
    assert not wrong, "\n" + "\n".join(wrong)


def test_python_compiles_and_names_what_there_is():
    wrong = []
    for page in PAGES:
        for place, text in python_blocks(page):
            try:
                missing = sorted(missing_names(ast.parse(text)))
            except (SyntaxError, ImportError) as error:
                missing = [str(error)]
            wrong += [f"{place}: {name}" for name in missing]
    assert not wrong, "\n" + "\n".join(wrong)


def missing_names(tree: ast.AST) -> set[str]:
    """Names of t2i_jax that code imports, or reads from what it imported, of nothing."""
    known, missing = {}, set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("t2i_jax"):
            for alias in node.names:
                found = named(f"{node.module}.{alias.name}")
                known[alias.asname or alias.name] = found
                if found is None:
                    missing.add(f"{node.module}.{alias.name}")
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.startswith("t2i_jax"):
                    known[alias.asname or "t2i_jax"] = importlib.import_module(
                        alias.name if alias.asname else "t2i_jax"
                    )
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Attribute)
            and (name := ast.unparse(node)).partition(".")[0] in known
        ):
            first, *parts = name.split(".")
            if all(part.isidentifier() for part in parts) and read(known[first], parts) is None:
                missing.add(name)
    return missing


def read(found, parts: list[str]):
    """An attribute of an attribute, and so on; None where there is none."""
    for part in parts:
        own = getattr(found, "__dataclass_fields__", {})  # of which classes have no attribute
        found = getattr(found, part, own.get(part))
    return found


def named(dotted: str):
    """What a dotted name of a module, or of something in one, stands for; None for nothing."""
    parts = dotted.split(".")
    for count in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:count]))
        except ModuleNotFoundError:
            continue
        return read(found, parts[count:])
    return None


def test_files_and_names_in_the_text_exist():
    """Files of ours by their paths, and dotted names of the package."""
    wrong = []
    for page in PAGES:
        for place, text in spans(page):
            if re.fullmatch(r"(launch|tests|configs|docs|findings|t2i_jax)/[\w./-]+", text):
                if not (ROOT / text).exists():
                    wrong.append(f"{place}: {text}")
            elif found := re.match(r"t2i_jax(?:\.\w+)+(?=\(|$)", text):
                if named(found[0]) is None:
                    wrong.append(f"{place}: {found[0]}")
    assert not wrong, "\n" + "\n".join(wrong)


def test_extras_in_the_text_exist():
    wrong = []
    for page in PAGES:
        for number, line in texts(page):
            named = re.findall(r"(?:t2i_jax|\.)\[([\w,]+)\]|\bextras? [`\"](\w+)[`\"]", line)
            unknown = {x for pair in named for x in "".join(pair).split(",")} - set(extras())
            wrong += [f"{page.name}:{number}: {name}" for name in unknown]
    assert not wrong, "\n" + "\n".join(wrong)


def test_options_in_the_text_exist():
    """Those of any command and the fields of any config, wherever a page names one."""
    known = options_of_commands() | fields_of_configs() | NOT_OURS
    wrong = []
    for page in PAGES:
        for place, text in spans(page):
            for name in re.findall(r"(?:^| )--([A-Za-z][\w.-]*)", text):
                name = name.rstrip(".")
                of_the_page = f'"{name.rpartition(".")[2]}"' in page.read_text()  # of a GAN there
                section = any(field.startswith(f"{name}.") for field in known)
                if not (name in known or section or OPEN.fullmatch(name) or of_the_page):
                    wrong.append(f"{place}: --{name}")
    assert not wrong, "\n" + "\n".join(wrong)


def options_of_commands() -> set[str]:
    known = set()
    sources = [*(ROOT / "t2i_jax").rglob("*.py"), *(ROOT / "launch").glob("*.py")]
    for path in (*sources, ROOT / "tests" / "stress.py"):
        known |= set(re.findall(r"\(\s*\"--(\w+)\"", path.read_text()))
    return known


def fields_of_configs() -> set[str]:
    known = set()
    for path in sorted((ROOT / "configs").glob("*.py")):
        arg = next(a for a in ("cub", "coco", "debug", "") if loads(f"{path}:{a}".rstrip(":")))
        spec = f"{path}:{arg}".rstrip(":")
        for encoder in ("char_cnn_rnn", "damsm", "bert"):
            with contextlib.suppress(ValueError):
                config = fields.resolve(spec, [f"encoder.name={encoder}"]).config
                known |= set(configs.flatten(config))
    return known
