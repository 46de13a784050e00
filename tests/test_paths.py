"""Local paths and those of stores."""

import pathlib
import re
import time

import pytest
from etils import epath
from fake_store import FORBIDDEN, SHOWN

from t2i_jax import owner, paths

RUN = "gs://bucket/run"

# What makes local paths by pathlib itself: of this machine, or checked before.
LOCAL = {"paths.py", "config_files.py", "data/catalog.py", "data/on_stores.py"}
LOCAL |= {"data/throughput.py", "data/origin.py", "interop/packages.py", "training/loop.py"}
LOCAL |= {"training/sentence_cache.py", "sweeps/trainings.py", "sweeps/slots.py"}
LOCAL |= {"drawing/given.py", "exporting/hub.py", "exporting/portable.py", "fonts.py"}
LOCAL |= {"training/compilation_cache.py", "profiling/missing.py"}


@pytest.mark.parametrize("text", ["runs/birds", "/runs", "/x/gs:/odd", "runs/a:b", "~"])
def test_local_paths_are_pathlibs(text):
    assert paths.path(text) == pathlib.Path(text) and paths.protocol(text) == ""
    assert type(paths.path(epath.Path(text))) is type(pathlib.Path())


def test_paths_of_a_store(store):
    path = paths.path(RUN) / "a" / "b.txt"
    assert isinstance(path, epath.Path) and str(path) == "gs://bucket/run/a/b.txt"
    assert paths.path(path) == path and paths.protocol(path) == "gs"
    assert not paths.exists(path)
    paths.write_bytes(path, "ä\n".encode())
    assert paths.exists(path) and paths.read_bytes(path) == "ä\n".encode()
    assert paths.folder(path.parent) == path.parent
    with paths.on_disk(path) as copy:
        assert copy.read_text(encoding="utf-8") == "ä\n" and copy.suffix == ".txt"
    assert not copy.exists()


@pytest.mark.parametrize(
    "text, words",
    [
        ("gss://bucket/run", "no protocol gss://; write gs://"),
        ("memory://run", "no protocol memory://; write gs://, s3://, az://, hf://, or a local"),
        ("file:///runs", "no protocol file://"),
        ("gs:bucket/run", "write gs://bucket/run for a store; for a local folder"),
        ("s3:run", "write s3://run for a store"),
        ("gs:/bucket/run", "write gs://bucket/run for a store; for a local folder"),
        (pathlib.Path(RUN), "write gs://bucket/run for a store"),
        ("gs://", "names no bucket"),
        ("gs:///run", "names no bucket; write gs://BUCKET/FOLDER"),
    ],
)
def test_what_names_no_path(tmp_path, monkeypatch, text, words):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError) as error:
        paths.path(text)
    assert str(error.value).startswith(str(text)) and words in str(error.value)
    assert not list(tmp_path.iterdir())


def test_a_missing_package_is_named(monkeypatch):
    def missing(name):
        raise ImportError("Please install gcsfs to access Google Storage")

    monkeypatch.setattr("fsspec.get_filesystem_class", missing)
    paths._open_store.cache_clear()
    with pytest.raises(ValueError) as error:
        paths.path(RUN)
    assert f"{RUN}: gs:// needs a package: pip install 't2i_jax[gcs]'" in str(error.value)


@pytest.mark.parametrize(
    "use, bucket",
    [
        (paths.exists, FORBIDDEN),
        (paths.read_bytes, FORBIDDEN),
        (lambda path: paths.write_bytes(path, b""), SHOWN),
        (lambda path: paths.Lines(path).add(""), SHOWN),
    ],
)
def test_a_refusal_is_one_line_with_path_and_remedy(store, use, bucket):
    path = paths.path(f"gs://{bucket}/file")
    with pytest.raises(OSError) as error:
        use(path)
    text = str(error.value)
    assert text.startswith(f"{path}: ") and "\n" not in text
    assert "does not have storage.objects." in text and "gcloud auth" in text


def test_missing_files_are_named(store, tmp_path):
    with pytest.raises(FileNotFoundError, match=f"^{RUN}/x: there is no such file, or no such"):
        paths.read_bytes(paths.path(f"{RUN}/x"))
    with pytest.raises(FileNotFoundError, match="No such file"):
        paths.read_bytes(tmp_path / "x")


def test_a_file_in_the_way_of_a_folder_is_named(tmp_path):
    (tmp_path / "file").write_text("x")
    for name in ("file", "file/run"):
        for make in (paths.folder, lambda place: owner.take(place, "a test")):
            with pytest.raises(NotADirectoryError, match=f"{name}: a file is in the way"):
                make(tmp_path / name)


def test_what_is_read_from_disks_alone(tmp_path):
    assert paths.local(str(tmp_path), "config files") == tmp_path
    with pytest.raises(ValueError, match="gs://b/x.py: config files lie on local disks only"):
        paths.local("gs://b/x.py", "config files")


@pytest.mark.parametrize("place", ["local", "store"])
def test_lines_go_on_where_they_stopped(store, tmp_path, place):
    path = tmp_path / "log.txt" if place == "local" else paths.path(f"{RUN}/log.txt")
    for lines in (["one", "zwölf"], ["three"]):
        log = paths.Lines(path)
        for line in lines:
            log.add(line)
        log.sync()
        assert paths.read_bytes(path).decode().splitlines()[-1] == lines[-1]
        log.close()
    assert paths.read_bytes(path).decode() == "one\nzwölf\nthree\n"


def test_uploads_of_lines_are_a_second_apart_at_least(store, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    path = paths.path(f"{RUN}/log.txt")
    log, seen = paths.Lines(path), []
    for _ in range(5):
        log.add("x")
        seen.append(len(paths.read_bytes(path)))
        now[0] += 0.4
    assert seen == [2, 2, 2, 8, 8]
    log.close()
    assert len(paths.read_bytes(path)) == 10 and len(store.uploads) == 3


def test_no_other_module_makes_paths_of_texts():
    package = pathlib.Path(paths.__file__).parent
    made = re.compile(r"pathlib\.Path\((?!__file__)|, pathlib\.Path\b|\bos\.path\.join\(")
    found = {
        file.relative_to(package).as_posix()
        for file in package.rglob("*.py")
        if made.search(file.read_text(encoding="utf-8"))
    }
    sources = {name for name in found if name.startswith(("data/layouts/", "data/builders/"))}
    assert found - sources - {"data/records.py"} <= LOCAL
