"""The Torch7 reader against files written by real Torch7, and against damaged ones."""

import pathlib
import struct

import numpy as np
import pytest

from t2i_jax.data import torch7


@pytest.fixture
def samples(golden_dir) -> pathlib.Path:
    return golden_dir / "t7_samples"


@pytest.fixture
def expected(samples) -> dict[str, np.ndarray]:
    with np.load(samples / "expected.npz") as arrays:
        return dict(arrays)


def i32(*values) -> bytes:
    return struct.pack(f"<{len(values)}i", *values)


def number(value) -> bytes:
    return i32(1) + struct.pack("<d", value)


def string(text: bytes) -> bytes:
    return i32(len(text)) + text


def tensor(sizes, strides, offset, elements, index=1, kind=b"Float") -> bytes:
    """The bytes of a FloatTensor over a storage of `elements` values."""
    values = struct.pack(f"<{elements}f", *range(elements))
    return (
        i32(4, index)
        + string(b"V 1")
        + string(b"torch." + kind + b"Tensor")
        + i32(len(sizes))
        + struct.pack(f"<{2 * len(sizes) + 1}q", *sizes, *strides, offset)
        + i32(4, index + 1)
        + string(b"V 1")
        + string(b"torch." + kind + b"Storage")
        + struct.pack("<q", elements)
        + values
    )


# A FloatTensor over a storage of integers of the same size.
TWO_KINDS = tensor([2], [1], 1, 2).replace(
    string(b"torch.FloatStorage"), string(b"torch.IntStorage")
)


def same(actual: np.ndarray, wanted: np.ndarray):
    assert actual.dtype == wanted.dtype
    np.testing.assert_array_equal(actual, wanted)


def test_caption_record(samples, expected):
    record = torch7.load(samples / "image_record.t7")
    assert set(record) == {"img", "txt", "char", "word"}
    assert isinstance(record["img"], str)
    same(record["txt"], expected["image_record/txt"])
    same(record["char"], expected["image_record/char"])


@pytest.mark.parametrize("name", ["class_text_c10", "class_images"])
def test_bare_tensor(samples, expected, name):
    same(torch7.load(samples / f"{name}.t7"), expected[name])


def test_corner_cases(samples, expected):
    corners = torch7.load(samples / "corners.t7")
    for name in ("whole", "transposed", "narrowed"):
        same(corners[name], expected[f"corners/{name}"])
    # In Torch the three are views of one storage.
    assert np.shares_memory(corners["whole"], corners["transposed"])
    assert np.shares_memory(corners["whole"], corners["narrowed"])
    first, second = torch7.sequence(corners["self_twice"])
    assert first is second
    same(corners["nested"]["a"]["b"], np.array([1, 2, 2**53]))
    same(corners["shorts"], np.array([-1, 300], np.int16))
    assert corners["empty"].shape == (0,) and corners["empty"].dtype == np.float32
    assert torch7.sequence(corners["list"]) == [1.0, 2.0, 3.0, "four"]
    assert (corners["off"], corners["flag"]) == (False, True)
    assert (corners["number"], corners["name"]) == (2.5, "caf\u00e9")


def test_arrays_are_writable_and_native(samples):
    array = torch7.load(samples / "class_images.t7")
    array[0, 0, 0] = 3.0
    assert array.dtype.isnative and array[0, 0, 0] == 3.0


def test_any_bytes_of_a_string_survive():
    text = torch7.loads(i32(2) + string(b"caf\xe9"))
    assert text.encode("utf-8", "surrogateescape") == b"caf\xe9"


def test_cycles_and_unusual_keys():
    # t = {[true] = 1, [1] = 2, [0.5] = 3, [t] = t}
    table = i32(3, 7, 4)
    table += i32(5, 1) + number(1) + number(1) + number(2) + number(0.5) + number(3)
    table += i32(3, 7) + i32(3, 7)
    read = torch7.loads(table)
    assert read[torch7.Ref(read)] is read
    assert (read[torch7.Ref(True)], read[1], read[0.5]) == (1.0, 2.0, 3.0)


def test_functions_are_skipped():
    function = i32(8, 2) + string(b"\x1bbytecode") + i32(3, 3, 0)
    read = torch7.loads(i32(3, 1, 2) + number(1) + function + number(2) + number(5))
    assert read == {1: None, 2: 5.0}


def test_nesting_deeper_than_pythons_stack():
    depth = 20_000
    data = b"".join(i32(3, i, 1) + number(1) for i in range(1, depth + 1)) + i32(0)
    table = torch7.loads(data)
    for _ in range(depth - 1):
        table = table[1]
    assert table == {1: None}


def test_objects_keep_class_and_fields(samples):
    net = torch7.load(samples / "tiny_net_G_gpu_names.t7")
    assert net.class_name == "nn.Sequential"
    modules = torch7.sequence(net.fields["modules"])
    assert len(modules) == 20
    assert modules[2].class_name.startswith("cudnn.Spatial")
    assert modules[2].fields["weight"].dtype == np.float32


def test_every_truncation_is_an_error(samples):
    data = (samples / "image_record.t7").read_bytes()
    torch7.loads(data)
    for end in range(0, len(data), 97):
        with pytest.raises(torch7.Torch7Error, match=rf"of {end}\)"):
            torch7.loads(data[:end])


def test_errors_name_file_and_offset(tmp_path):
    path = tmp_path / "broken.t7"
    path.write_bytes(i32(3, 1, 1) + number(1) + i32(99))
    with pytest.raises(torch7.Torch7Error, match=r"broken\.t7: unknown type tag 99.*byte 24 of 28"):
        torch7.load(path)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "truncated: a type tag needs 4 bytes, 0 are left"),
        (b"<!DOCTYPE html><html>", "not a Torch7 file: it begins with b'<!DOCTYPE ht"),
        (b"\x80\x04\x95pickle", "not a Torch7 file"),
        (b"4\n1\n3\nV 1\n18\ntorch.DoubleTensor\n", "ASCII mode"),
        (i32(2, -5), "a string of negative length -5"),
        (i32(3, 1, -1), "table of -1 entries"),
        (
            i32(4, 1) + string(b"V 1") + string(b"torch.HalfTensor"),
            "no reader for torch.HalfTensor",
        ),
        (
            i32(4, 1) + string(b"V 1") + string(b"tds.Hash") + number(3),
            "no reader for class 'tds.H",
        ),
        (tensor([], [], 1, 0)[:20] + b"xx", "truncated"),
        (tensor([2, 3], [3, 1], 1, 5), "reaches outside its storage of 5 elements"),
        (tensor([2, 3], [3, 1], 0, 6), "reaches outside"),
        (tensor([2, -3], [3, 1], 1, 6), "damaged"),
        (tensor([2**40], [1], 1, 6), "reaches outside"),
        (TWO_KINDS, "without a float32 storage"),
    ],
)
def test_damaged_bytes(data, message):
    with pytest.raises(torch7.Torch7Error, match=message):
        torch7.loads(data)


def test_old_files_have_no_version():
    data = tensor([2, 2], [1, 2], 2, 5).replace(string(b"V 1"), b"")
    same(torch7.loads(data), np.array([[1, 3], [2, 4]], np.float32))


class Machine:
    """Writes as Torch7 does on a machine of that byte order, whose longs have `word` bytes."""

    def __init__(self, order, word):
        self.order, self.word, self.index = order, word, 0

    def pack(self, kind, *values):
        kind = {4: "i", 8: "q"}[self.word] if kind == "l" else kind
        return struct.pack(f"{self.order}{len(values)}{kind}", *values)

    def string(self, text):
        return self.pack("i", len(text)) + text.encode()

    def object(self, name):
        self.index += 1
        return self.pack("i", 4, self.index) + self.string("V 1") + self.string(name)

    def array(self, array, kind):
        strides = (s // array.itemsize for s in array.strides)
        head = self.object(f"torch.{kind}Tensor") + self.pack("i", array.ndim)
        head += self.pack("l", *array.shape, *strides, 1)
        values = array.astype(f"{self.order}i{self.word}" if kind == "Long" else array.dtype)
        values = values.astype(values.dtype.newbyteorder(self.order))
        return (
            head
            + self.object(f"torch.{kind}Storage")
            + self.pack("l", array.size)
            + values.tobytes()
        )

    def write(self, table):
        self.index += 1
        data = self.pack("i", 3, self.index, len(table))
        for name, (array, kind) in table.items():
            data += self.pack("i", 2) + self.string(name) + self.array(array, kind)
        return data


TABLE = {
    "weight": (np.arange(6, dtype=np.float32).reshape(2, 3), "Float"),
    "deep": (np.arange(24, dtype=np.float64).reshape(2, 3, 4), "Double"),
    "ids": (np.array([1, -2, 70000]), "Long"),
    "one": (np.ones((1,), np.uint8), "Byte"),
}


@pytest.mark.parametrize("names", [["weight"], ["deep", "one"], ["ids"], list(TABLE)])
@pytest.mark.parametrize(("order", "word"), [("<", 8), ("<", 4), (">", 8), (">", 4)])
def test_files_of_other_machines_hold_the_same(order, word, names):
    table = {name: TABLE[name] for name in names}
    found = torch7.loads(Machine(order, word).write(table))
    assert found.keys() == table.keys()
    for name, (array, kind) in table.items():
        same(found[name], array.astype(f"i{word}") if kind == "Long" else array)


@pytest.mark.parametrize(("order", "word"), [("<", 4), (">", 8), (">", 4)])
def test_files_of_other_machines_cut_short_are_errors(order, word):
    data = Machine(order, word).write(TABLE)
    for end in range(0, len(data), 41):
        with pytest.raises(torch7.Torch7Error, match=rf"of {end}\)"):
            torch7.loads(data[:end], "x.t7")
