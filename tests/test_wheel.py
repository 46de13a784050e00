"""The package as others install it: what a wheel holds, and that it works where no checkout is."""

import importlib.metadata
import pathlib
import re
import shutil
import site
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile

import pytest

pytest.importorskip("setuptools", minversion="77")
pytest.importorskip("pip")

ROOT = pathlib.Path(__file__).resolve().parent.parent
OFFLINE = ["--quiet", "--no-deps", "--no-index"]


def run(*command, cwd) -> subprocess.CompletedProcess:
    return subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=cwd)


def done(*command, cwd) -> str:
    """The output of a command that ends well."""
    found = run(*command, cwd=cwd)
    assert found.returncode == 0, found.stdout + found.stderr
    return found.stdout


@pytest.fixture(scope="module")
def sdist(tmp_path_factory):
    """Of a copy of the sources: building leaves things behind."""
    copy = tmp_path_factory.mktemp("source") / "t2i_jax"
    hidden = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in ("t2i_jax", "configs", "tests"):
        shutil.copytree(ROOT / name, copy / name, ignore=hidden)
    for name in ("setup.py", "pyproject.toml", "MANIFEST.in", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    code = "import sys; from setuptools import build_meta; build_meta.build_sdist(sys.argv[1])"
    done(sys.executable, "-c", code, str(copy / "dist"), cwd=copy)
    (built,) = (copy / "dist").iterdir()
    return built


@pytest.fixture(scope="module")
def wheel(sdist, tmp_path_factory):
    """Made by pip from the sdist, so that this holds all that a wheel needs."""
    folder = tmp_path_factory.mktemp("wheel")
    options = [*OFFLINE, "--no-build-isolation", f"--wheel-dir={folder}"]
    done(sys.executable, "-m", "pip", "wheel", *options, str(sdist), cwd=folder)
    (built,) = folder.glob("*.whl")
    return built


def files(root: str) -> set[str]:
    """All files of a folder, from there."""
    found = (path for path in (ROOT / root).rglob("*") if path.is_file())
    return {p.relative_to(ROOT / root).as_posix() for p in found if "__pycache__" not in p.parts}


def test_a_wheel_holds_the_package_its_configs_and_its_license(wheel):
    """And nothing else: no tests, no documents, no compiled files."""
    with zipfile.ZipFile(wheel) as opened:
        names = set(opened.namelist())
        content = {name: opened.read(name) for name in names}
    own = {f"t2i_jax/{name}" for name in files("t2i_jax")}
    configs = {f"t2i_jax/configs/{name}" for name in files("configs")}
    assert len(configs) > 20 and "t2i_jax/reporting/page.html" in own
    (info,) = {name.split("/")[0] for name in names} - {"t2i_jax"}
    about = {name for name in names if name.startswith(f"{info}/")}
    assert names - about == own | configs
    assert content[f"{info}/licenses/LICENSE"] == (ROOT / "LICENSE").read_bytes()
    assert b"t2i-jax = t2i_jax.__main__:main" in content[f"{info}/entry_points.txt"]
    for name in configs:
        file = ROOT / name.removeprefix("t2i_jax/")
        assert content[name] == file.read_bytes()
    told = content[f"{info}/METADATA"].decode()
    assert "License: Apache-2.0\n" in told and "Classifier: Programming Language" in told
    assert "Text-to-image GANs in JAX/Flax" in told
    extras = re.findall(r"^Provides-Extra: (\S+)$", told, re.M)
    page = (ROOT / "docs" / "installation.md").read_text()
    assert len(extras) > 10 and not [name for name in extras if f"`{name}`" not in page]


def test_an_sdist_holds_no_tests(sdist):
    with tarfile.open(sdist) as opened:
        names = {name.partition("/")[2] for name in opened.getnames()}
    assert {"setup.py", "LICENSE", "configs/gan_int_cls.py", "README.md"} <= names
    assert not [name for name in names if name.startswith("tests")]


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """(an environment with the wheel and what the present one has, a folder to work in)."""
    folder = tmp_path_factory.mktemp("env")
    venv.create(folder, with_pip=False)
    place = pathlib.Path(sysconfig.get_path("purelib", "venv", {"base": str(folder)}))
    lines = [f"import site; site.addsitedir({path!r})\n" for path in site.getsitepackages()]
    (place / "present.pth").write_text("".join(lines))
    options = [*OFFLINE, "--ignore-installed", str(wheel)]
    done(folder / "bin/python", "-m", "pip", "install", *options, cwd=folder)
    found = done(folder / "bin/python", "-c", "import t2i_jax; print(t2i_jax.__file__)", cwd="/")
    assert pathlib.Path(found.strip()).is_relative_to(folder)
    return folder, tmp_path_factory.mktemp("work")


def test_an_installed_program_needs_no_checkout(installed, wheel):
    """Versions; a packaged config, a grid of its variants; the user's own file; a slip."""
    folder, work = installed
    program = folder / "bin/t2i-jax"
    versions = dict(line.split() for line in done(program, "--version", cwd=work).splitlines())
    assert versions["jax"] == importlib.metadata.version("jax")
    assert f"-{versions['t2i_jax']}-" in wheel.name
    listed = done(program, "train", "--config=gan_int_cls:debug", "--print_config", cwd=work)
    assert "system = 'gan_int_cls'" in listed and "generator.image_size = 32" in listed
    (work / "mine.py").write_text(
        "from t2i_jax import config\n\n\ndef get_config(arg):\n"
        "    made = config.load('gan_int_cls:debug')\n    made.seed = int(arg)\n    return made\n"
    )
    listed = done(program, "train", "--config=mine.py:7", "--print_config", cwd=work)
    assert "seed = 7 " in listed
    wrong = run(program, "train", "--config=mime", "--print_config", cwd=work)
    assert wrong.returncode == 2 and "did you mean 'mine.py'" in wrong.stderr
    toys = ["--dataset=toy_birds", "--num_images=40", "--size=32", "--data_dir=data"]
    done(program, "prepare", *toys, cwd=work)
    grid = ["--config=gan_int_cls:debug", "--sweep=gan_int_cls_losses", "--workdir=runs"]
    commands = done(program, "sweep", *grid, "--print", cwd=work).splitlines()
    assert len(commands) == 4 and all("--config=gan_int_cls:debug" in c for c in commands)
