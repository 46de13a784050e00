"""Folders for programs without this library: a stranger's program draws what the run draws."""

import dataclasses
import json
import pathlib
import re
import subprocess
import sys
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import traverse_util
from jax import export

from exporting.alien import CAPTIONS, SIZES
from exporting.tiny_samplers import SYSTEMS, painter, sampler
from t2i_jax import CaptionWarning, Sampler
from t2i_jax.drawing.drawer import to_uint8
from t2i_jax.exporting import onnx, portable, stablehlo
from t2i_jax.exporting.program import Program, programs

CASES = {name: {} for name in SYSTEMS}
CASES["xmc_gan-pieces"] = {"pieces": True}
CASES["df_gan-stored"] = {"text": False}
CASES["stack_gan_v2-unconditional"] = {"arg": "debug_unconditional"}
MODULES = {"stablehlo": stablehlo, "onnx": onnx}


@pytest.fixture(scope="module")
def samplers(tmp_path_factory):
    folder = tmp_path_factory.mktemp("vocabulary")
    return {
        case: sampler(case.partition("-")[0], folder, **options) for case, options in CASES.items()
    }


@pytest.fixture(scope="module")
def painters(samplers):
    return {case: painter(made) for case, made in samplers.items()}


@pytest.fixture(scope="module", params=MODULES)
def drawn(request, samplers, tmp_path_factory):
    """A folder of every case, from each of which the stranger has drawn."""
    pytest.importorskip({"stablehlo": "flatbuffers", "onnx": "jax2onnx"}[request.param])
    place = tmp_path_factory.mktemp(request.param)
    write = MODULES[request.param].write
    for case, made in samplers.items():
        files = write(made, place / case)
        assert files == sorted((place / case).iterdir())
    script = pathlib.Path(__file__).with_name("alien.py")
    command = [sys.executable, str(script), *(str(place / case) for case in CASES)]
    subprocess.run(command, check=True, timeout=300, cwd=place)
    return place


@pytest.mark.parametrize("case", CASES)
def test_a_stranger_draws_what_the_run_draws(drawn, samplers, painters, case):
    made = samplers[case]
    recipe, reads = made.system.recipe, made.system.tokenizer
    for rows in SIZES:
        with np.load(drawn / case / f"drawn_{rows}.npz") as file:
            found = dict(file)
        count = len(found["images"])
        five = np.arange(5) % count  # one shape, so one compilation
        noise = {
            k: found.get(f"given_{k}", np.zeros((count, *shape), np.float32))[five]
            for k, shape in recipe.noise_shapes.items()
        }
        assert all(np.std(x) > 0 for k, x in noise.items() if f"given_{k}" in found)
        inputs = {}
        if reads is not None:
            assert count == rows
            ids, mask = reads.encode(CAPTIONS[:rows])
            inputs = {"tokens": ids[five], "mask": mask[five]}
        elif case.endswith("-stored"):
            inputs = {"sentence": found["given_sentence"][five]}
        *lower, finest = painters[case](inputs, noise)
        expected = {"images": finest, **{f"images_{i}": x for i, x in enumerate(lower, start=1)}}
        assert sorted(expected) == sorted(k for k in found if not k.startswith("given_"))
        for name, value in expected.items():
            value = np.asarray(value)[:count]
            assert np.std(value) > 0.02
            np.testing.assert_allclose(found[name], value, rtol=0, atol=1e-5, err_msg=name)


def test_the_example_is_what_the_sampler_draws(drawn, samplers):
    told = json.loads((drawn / "attn_gan" / "program.json").read_text())
    with np.load(drawn / "attn_gan" / told["example"]["file"]) as file:
        example = dict(file)
    for name, program in told["programs"].items():
        for array, described in (program["inputs"] | program["outputs"]).items():
            assert described["shape"] == ["rows", *example[array].shape[1:]], (name, array)
            assert described["dtype"] == example[array].dtype.name
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CaptionWarning)  # of one that is too long here
        expected = samplers["attn_gan"].sample(told["example"]["captions"], seed=0)
    off = np.abs(np.asarray(to_uint8(example["images"])).astype(int) - expected)
    assert off.max() <= 1 and off.mean() < 0.01  # of values between two steps


def test_one_program_for_all_platforms_and_sizes(drawn):
    """Without calls of one platform's libraries, and without the weights."""
    if drawn.name.startswith("onnx"):
        pytest.skip("of StableHLO")
    for case in SYSTEMS:
        packed = (drawn / case / "generator.stablehlo").read_bytes()
        exported = export.deserialize(bytearray(packed))
        assert exported.platforms == ("cpu", "cuda", "tpu")
        calls = set(re.findall(r"custom_call @(\w+)", exported.mlir_module()))
        assert calls <= {"shape_assertion"}, case
        assert len(packed) < 100_000, case


def test_nothing_tells_where_it_was_written(drawn):
    """Nor by whom: paths of this machine hold names."""
    here = [str(pathlib.Path(x.__file__).parent) for x in (portable, traverse_util)]
    here += [sys.prefix, str(drawn)]
    for file in drawn.rglob("*"):
        if file.is_file() and not file.name.startswith(("drawn_", "image_")):
            content = file.read_bytes()
            assert not [place for place in here if place.encode() in content], file


def test_weights_of_losses_stay_behind(samplers):
    """DR-GAN's encoder of real images serves a loss alone."""
    made = samplers["dr_gan"]
    of_loss = re.compile(r"/real\d/")
    trained = traverse_util.flatten_dict(made.networks["params"]["g"], sep="/")
    *_, generator = programs(made)
    assert any(map(of_loss.search, trained))
    assert not any(map(of_loss.search, generator.weights))


def test_runs_in_bfloat16_are_written_in_float32(samplers):
    made = samplers["rat_gan"]
    short = {"dtype": jnp.bfloat16}
    recipe = made.system.recipe
    recipe = dataclasses.replace(recipe, generator=recipe.generator.clone(**short))
    encoder = made.system.encoder.clone(**short)
    system = dataclasses.replace(made.system, recipe=recipe, encoder=encoder)
    for program in programs(Sampler(system, made.networks)):
        traced = str(jax.make_jaxpr(program.function)(program.weights, program.inputs))
        assert "f32" in traced and "bf16" not in traced


def test_an_encoder_that_was_trained_with_the_generator(samplers):
    """Its weights are the average's, not those that the training began with."""
    made = samplers["rat_gan"]
    trained = jax.tree.map(lambda x: x + 1, made.system.variables["encoder"]["params"])
    params = {**made.networks["params"], "encoder": trained}
    encoder, _ = programs(Sampler(made.system, {**made.networks, "params": params}))
    flat = traverse_util.flatten_dict({"params": trained}, sep="/")
    assert sorted(encoder.weights) == sorted(flat)
    for name, value in encoder.weights.items():
        np.testing.assert_array_equal(value, flat[name])


def test_the_width_of_stored_sentences_is_that_of_the_weights(samplers):
    (generator,) = programs(samplers["df_gan-stored"])
    assert generator.inputs["sentence"].shape[1] == 12


def test_what_no_onnx_file_holds_is_refused(tmp_path):
    weights = {"params/large": np.broadcast_to(np.float32(0), (2**29,))}  # of one number
    program = Program("generator", dict, weights, {}, {})
    with pytest.raises(ValueError, match=r"2,147,483,648 bytes of weights.* --format=stablehlo"):
        onnx._write(program, tmp_path)


def test_only_an_earlier_export_is_replaced(samplers, tmp_path):
    pytest.importorskip("flatbuffers")
    made, out = samplers["df_gan-stored"], tmp_path / "out"
    first = stablehlo.write(made, out)
    before = (out / "generator.stablehlo").read_bytes()
    assert stablehlo.write(made, out) == first
    assert (out / "generator.stablehlo").read_bytes() == before
    (out / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match=r"out is there and holds notes\.txt"):
        stablehlo.write(made, out)
    assert (out / "notes.txt").read_text() == "mine"
    file = tmp_path / "file"
    file.write_text("mine")
    with pytest.raises(ValueError, match="file is there"):
        stablehlo.write(made, file)
    assert sorted(tmp_path.iterdir()) == [file, out]  # nothing half written stays


@pytest.mark.parametrize(
    ("module", "package", "remedy"),
    [
        (stablehlo, "flatbuffers", r"pip install 't2i_jax\[stablehlo\]'"),
        (onnx, "jax2onnx", "pip install --no-deps 'jax2onnx"),
        (onnx, "onnxruntime", r"pip install 't2i_jax\[onnx\]'"),
    ],
)
def test_a_missing_package_is_one_line(samplers, tmp_path, monkeypatch, module, package, remedy):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ValueError, match=f"needs .*{package}.*{remedy}") as raised:
        module.write(samplers["df_gan-stored"], tmp_path / "out")
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "out").exists()


def test_onnx_that_draws_something_else_is_refused(samplers, tmp_path, monkeypatch):
    pytest.importorskip("jax2onnx")
    made = samplers["df_gan-stored"]
    true = portable._example

    def wrong(*args):
        example = true(*args)
        return {**example, "images": example["images"] + 0.1}

    monkeypatch.setattr(portable, "_example", wrong)
    with pytest.raises(ValueError, match=r"generator\.onnx: images differs"):
        onnx.write(made, tmp_path / "out")
    assert not list(tmp_path.iterdir())
