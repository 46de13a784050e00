"""Benchmarks against closed forms, on dense networks whose FLOPs can be counted by hand."""

import dataclasses
import json
import types as types_module

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from data.sources import TOKENIZER, MemorySource

from t2i_jax import axis, types
from t2i_jax import config as configs
from t2i_jax.commands import benchmark
from t2i_jax.data import catalog
from t2i_jax.data.options import DataOptions
from t2i_jax.data.pipeline import make_pipeline
from t2i_jax.data.throughput import Throughput
from t2i_jax.profiling import passes, step_time
from t2i_jax.recipes.base import EncoderRecipe, GanRecipe
from t2i_jax.recipes.terms import Seen, Terms
from t2i_jax.training import build, parallel
from t2i_jax.training.optimizers import make_direction, make_schedule
from t2i_jax.training.step import StepOptions

BATCH, NOISE, SIDE, HIDDEN = 32, 64, 8, 128
PIXELS = SIDE * SIDE * 3
# Multiplications and additions of the matrix products in one forward pass of a batch.
G = 2 * BATCH * NOISE * PIXELS
D_FIRST, D_LAST = 2 * BATCH * PIXELS * HIDDEN, 2 * BATCH * HIDDEN


class Generator(nn.Module):
    """One linear layer."""

    @nn.compact
    def __call__(self, z):
        return nn.Dense(PIXELS, use_bias=False)(z).reshape(-1, SIDE, SIDE, 3)


class Discriminator(nn.Module):
    """Two linear layers, of images or of anything with as many values."""

    @nn.compact
    def __call__(self, images):
        x = images.reshape(images.shape[0], -1)
        return nn.Dense(1, use_bias=False)(nn.Dense(HIDDEN, use_bias=False)(x))


@dataclasses.dataclass(frozen=True, kw_only=True)
class DenseGan(GanRecipe):
    """D separates, G follows."""

    def init(self, key, seen):
        return {
            "g": self.generator.init(key, jnp.zeros((1, NOISE))),
            "d": self.discriminator.init(key, jnp.zeros((1, SIDE, SIDE, 3))),
        }

    def noise(self, key, rows):
        return {"z": axis.normal(key, (rows, NOISE), self.axis_name)}

    def generate(self, g_vars, seen, noise, train):
        return {"images": (self.generator.apply(g_vars, noise["z"]),)}, {}

    def d_terms(self, d_vars, seen, out, key):
        real = self.discriminator.apply(d_vars, seen.of(types.IMAGES))
        fake = self.discriminator.apply(d_vars, out["images"][0])
        losses = {"real": jnp.mean((real - 1) ** 2), "fake": jnp.mean(fake**2)}
        return Terms(losses, fakes=fake)

    def g_terms(self, d_vars, seen, out, key, fakes=None):
        if fakes is None:
            fakes = self.discriminator.apply(d_vars, out["images"][0])
        return Terms({"fake": jnp.mean((fakes - 1) ** 2)})


@dataclasses.dataclass(frozen=True, kw_only=True)
class DenseNet(EncoderRecipe):
    """One player."""

    net: nn.Module

    def init(self, key, seen):
        return {"net": self.net.init(key, seen.of(types.IMAGES)[:1])}

    def terms(self, variables, seen, key):
        made = self.net.apply(variables, seen.of(types.IMAGES))
        return Terms({"one": jnp.mean((made - 1) ** 2)})


def workload(recipe, groups=None, **settings) -> step_time.Workload:
    weights = {name: 1.0 for name in recipe.active}
    section, groups = {"name": "sgd", "lr": 1e-5}, groups or {}
    options = StepOptions(
        weights=weights,
        groups={p: groups for p in recipe.players},
        directions={p: make_direction({**section, "groups": groups}) for p in recipe.players},
        schedules={p: make_schedule(section, 1, 1) for p in recipe.players},
        **settings,
    )
    config = configs.base()
    config.d_steps = options.d_steps
    system = build.System(config, recipe, None, None, {})
    data = DataOptions(size=SIDE, batch=BATCH, captions=0)
    batch = step_time.noise_batch(data, None)
    return step_time.Workload(system, data, options, batch, None, ())


def gan(**settings) -> step_time.Workload:
    terms = frozenset({"d.real", "d.fake", "g.fake"})
    recipe = DenseGan(generator=Generator(), discriminator=Discriminator(), active=terms)
    return workload(recipe, **settings)


def net(**settings) -> step_time.Workload:
    return workload(DenseNet(net=Discriminator(), active=frozenset({"net.one"})), **settings)


def near(flops):
    """Within what activations, losses and optimizers cost."""
    return pytest.approx(flops, rel=0.06)


def test_the_parts_are_the_closed_forms():
    found = passes.step_flops(gan())
    _, g, d, seen, update = found["parts"]
    assert g["forward"] == near(G) and g["used"] == near(2 * G)  # nobody asks for z's gradient
    assert d["forward"] == near(2 * (D_FIRST + D_LAST))
    assert d["used"] == near(2 * (2 * D_FIRST + 3 * D_LAST))  # nor for that of the pixels
    assert seen["forward"] == near(D_FIRST + D_LAST)
    assert seen["used"] == near(2 * (D_FIRST + D_LAST))
    assert update["used"] < 0.05 * found["step"]
    assert found["needed"] == sum(p["used"] for p in found["parts"])
    assert found["ratio"] == pytest.approx(1, abs=0.03)
    assert found["runs"] == {
        "Discriminator": {"step": 3, "needed": 3},
        "Generator": {"step": 1, "needed": 1},
    }


def test_sub_steps_generate_for_d_alone():
    found = passes.step_flops(gan(d_steps=2))
    times = {p["name"]: p["times"] for p in found["parts"]}
    assert times["G, for D alone"] == times["G"] == 1 and times["D: d_update"] == 2
    assert found["ratio"] == pytest.approx(1, abs=0.03)
    assert found["runs"]["Discriminator"] == {"step": 5, "needed": 5}
    assert found["runs"]["Generator"] == {"step": 2, "needed": 2}


def test_players_of_one_d_share_its_pass_over_the_fakes():
    found = passes.step_flops(gan(order="simultaneous"))
    assert found["runs"]["Discriminator"] == {"step": 2, "needed": 2}
    assert found["ratio"] == pytest.approx(1, abs=0.03)
    # The forward pass over the fakes that the alternating order has twice.
    apart = passes.step_flops(gan())["step"]
    assert apart - found["step"] == pytest.approx(D_FIRST + D_LAST, rel=0.1)


def test_a_wasted_pass_shows(monkeypatch):
    def wasteful(recipe, options):
        step = make_step(recipe, options)

        def twice(state, batch, frozen):
            noise = recipe.noise(jax.random.key(7), BATCH)
            out, _ = recipe.generate({"params": state.params["g"]}, Seen({}), noise, True)
            return step(state, batch, frozen), out

        for name in ("read", "generate", "d_loss", "g_loss", "update"):
            setattr(twice, name, getattr(step, name))
        return twice

    make_step = passes.make_step
    monkeypatch.setattr(passes, "make_step", wasteful)
    found = passes.step_flops(gan())
    assert found["ratio"] == pytest.approx(1 + G / found["needed"], abs=0.03)
    assert found["ratio"] > 1.05
    assert found["runs"]["Generator"] == {"step": 2, "needed": 1}


def test_one_player():
    found = passes.step_flops(net())
    assert found["step"] == near(2 * D_FIRST + 3 * D_LAST)
    assert found["ratio"] == pytest.approx(1, abs=0.03)
    assert found["runs"] == {"Discriminator": {"step": 1, "needed": 1}}


def test_nothing_is_differentiated_for_the_sake_of_frozen_parts():
    found = passes.step_flops(net(groups={"Dense_1": 0.0}))  # the first, made as the second
    assert found["step"] == near(D_FIRST + 2 * D_LAST)


@pytest.mark.parametrize("layout", ["jit", "pmap"])
def test_flops_are_those_of_all_devices_together(layout):
    work = net()
    work.system.config.parallel = layout
    found = step_time.measure_step(work, steps=3)
    products = 2 * D_FIRST + 3 * D_LAST
    parameters = PIXELS * HIDDEN + HIDDEN
    # The update of the parameters is counted once where the program is that of all devices, and on
    # each where it is one of each: less than 15 operations on a parameter.
    updates = 1 if layout == "jit" else found.devices
    assert products < found.flops < products * 1.06 + 15 * parameters * updates
    assert found.bytes_accessed > 2 * 4 * parameters * found.devices
    assert found.devices == jax.device_count() and found.parameters == {"net": parameters}
    low, median, high = found.seconds
    assert 0 < low <= median <= high and found.compile_seconds > 0
    assert found.images_per_second == pytest.approx(BATCH / median)
    assert found.steps_per_second == 1 / median
    assert found.flops_per_second == found.flops / median
    assert found.program_bytes > 2 * 4 * parameters  # the network and its average
    assert found.pipeline is None and found.device_bytes is None
    assert found.peak is None and found.mfu is None and found.input_bound is None


def ready(step) -> step_time.Ready:
    compiled = parallel.Compiled(step, None, None)
    return step_time.Ready(compiled, 0, 0, 0, 6e9, {"net": 1}, 0, 1.0)


def test_the_first_steps_are_not_timed(monkeypatch):
    took = (90, 80, 70, 1, 2, 4, 3)
    readings, cpu = iter(x for t in took for x in (0, t)), iter(x for t in took for x in (0, 2 * t))
    clock = types_module.SimpleNamespace(
        perf_counter=lambda: next(readings), process_time=lambda: next(cpu)
    )
    monkeypatch.setattr(step_time, "time", clock)
    still = ready(lambda state, *_: (state, {"x": jnp.zeros(())}))
    monkeypatch.setattr(step_time, "prepare", lambda work: still)
    found = step_time.measure_step(net(), steps=4, peak=1e9)
    assert found.seconds == (1.75, 2.5, 3.25) and found.cpu_seconds == 5
    # 6 GFLOPs in 2.5 seconds on so many devices of 1 GFLOP/s.
    assert found.mfu == pytest.approx(6 / 2.5 / found.devices)


def test_a_step_that_diverges_is_no_measurement():
    def step(state, batch, frozen):
        return state, {"d/real": jnp.full((), jnp.nan)}

    with pytest.raises(FloatingPointError, match="d/real"):
        ready(step).run()


def test_a_slow_pipeline_keeps_the_devices_waiting():
    data = Throughput(images=300, seconds=1.0, cpu_seconds=1.0, stages={"decode": 1.0})
    found = dataclasses.replace(canned(), pipeline=data, images=500, decoded_per_image=2)
    # 500 images in a tenth of a second, with the mismatched ones 10,000 a second.
    assert found.input_bound == pytest.approx(0.97)
    assert dataclasses.replace(found, images=2).input_bound == 0


def test_compiling_cold_leaves_the_cache_alone(tmp_path):
    before = jax.config.jax_compilation_cache_dir
    jax.config.update("jax_compilation_cache_dir", str(tmp_path))
    step_time.compilation_cache.reset_cache()
    try:
        with step_time.no_compilation_cache():
            jax.jit(lambda x: x * 3.25).lower(1.0).compile()
        assert not list(tmp_path.iterdir())
        jax.jit(lambda x: x * 3.25).lower(1.0).compile()
        assert list(tmp_path.iterdir())
    finally:
        jax.config.update("jax_compilation_cache_dir", before)
        step_time.compilation_cache.reset_cache()


@pytest.mark.parametrize(
    "fields",
    [
        {"captions": 0},
        {"captions": 2, "mismatch": "image"},
        {"mismatch": "caption"},
        {"mismatch": "caption", "text": "embeddings"},
    ],
)
def test_noise_has_the_form_of_data(fields):
    options = DataOptions(size=16, batch=4, threads=1, **fields)
    real = make_pipeline(options, TOKENIZER, source=MemorySource()).example_batch()
    noise = step_time.noise_batch(options, TOKENIZER)
    assert real.keys() == noise.keys()
    for key, value in real.items():
        dims = 1 if fields.get("text") == "embeddings" and "sentence" in key else None
        assert noise[key].shape[:dims] == value.shape[:dims] and noise[key].dtype == value.dtype
    assert noise.get(types.TOKENS, np.zeros(1)).max() < TOKENIZER.vocab_size


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("data"))
    catalog.prepare("toy_birds", None, folder, num_images=40, size=32)
    return folder


def test_workload_of_prepared_data(data_dir):
    config = configs.load("configs/gan_int_cls.py:debug")
    config.data.data_dir = data_dir
    work = step_time.make_workload(config)
    shape = (8, config.encoder.fields.embedding)
    assert not work.notes and work.source is not None
    assert work.batch[types.SENTENCE].shape == work.batch[types.WRONG_SENTENCE].shape == shape
    assert types.TOKENS not in work.batch
    config.encoder.cache = False
    batch = step_time.make_workload(config).batch
    assert batch[types.TOKENS].shape[:2] == (8, 2) and types.SENTENCE not in batch


def test_workload_without_data_and_encoder():
    config = configs.load("configs/gan_int_cls.py:debug")
    configs.override(config, {"data.data_dir": "nowhere", "encoder.source": "runs/none"})
    work = step_time.make_workload(config)
    assert work.source is None and config.encoder.source == "runs/none"
    missing, noise = work.notes
    assert "runs/none" in missing and "nowhere" in noise and "toy_birds" in noise


def test_data_from_the_command_line(data_dir, tmp_path, capsys):
    out = tmp_path / "numbers.json"
    argv = f"--what=data --data_dir={data_dir} --size=16,32 --workers=0 --seconds=0.1 --repeats=2"
    benchmark.main([*argv.split(), "--need=500", f"--out={out}", "--data.batch=4"])
    rows = json.loads(out.read_text())
    assert [(row["size"], row["workers"]) for row in rows] == [(16, 0), (32, 0)]
    for row in rows:
        assert row["dataset"].startswith("toy_birds/")
        assert row["cores"] == 500 / row["images_per_cpu_second"]
        assert row["images_per_second"] > 0 and 0 < row["decode_share"] < 1.5
    assert "cores for" in capsys.readouterr().out


def canned(batch: int = 8) -> step_time.StepBenchmark:
    return step_time.StepBenchmark(
        system="gan_int_cls",
        device="chip",
        devices=1,
        parallel="jit",
        dtype="float32",
        images=batch,
        decoded_per_image=1,
        parameters={"g": 1000, "d": 500},
        frozen=10,
        compile_seconds=2.0,
        seconds=(0.09, 0.1, 0.12) if batch == 8 else (0.18, 0.2, 0.25),
        cpu_seconds=0.2,
        flops=3e9,
        bytes_accessed=None,
        peak=6e10,
        program_bytes=1_500_000,
        device_bytes=None,
        pipeline=None,
        notes=("something is missing",),
    )


def test_configs_side_by_side(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(step_time, "measure_step", lambda work, *_: canned(work.data.batch))
    copy = tmp_path / "larger.py"
    copy.write_text(
        "from t2i_jax import config\n\ndef get_config(arg=''):\n"
        "    c = config.load('configs/gan_int_cls.py:debug')\n    c.data.batch = 24\n    return c\n"
    )
    out = tmp_path / "numbers.json"
    argv = ["--config=configs/gan_int_cls.py:debug", f"--config={copy}", f"--out={out}"]
    benchmark.main([*argv, "--data.data_dir=nowhere"])
    first, second = json.loads(out.read_text())
    assert (first["images_per_second"], second["images_per_second"]) == pytest.approx((80, 120))
    assert first["flops_per_second"] == pytest.approx(3e10)
    assert first["mfu"] == pytest.approx(0.5)
    shown = capsys.readouterr().out
    assert "(1.50x)" in shown and "(0.50x)" in shown and "1.5 M" in shown and "3 G" in shown
    assert "something is missing" in shown and "peak of a device" not in shown


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ("", "needs a --config"),
        ("--what=data --config=configs/gan_int_cls.py", "--dataset"),
        ("--what=data --data_dir=nowhere", "no data set is prepared in nowhere"),
        ("--what=data --data_dir=nowhere --dataset=cubs", "'cub'"),
        ("--what=data --seconds=0", "--seconds"),
        ("--compare df_gan:cub", "two steps or more"),
        ("--compare dtype=float32 dtype=bfloat16", "names 0 configs"),
        ("--config=df_gan:cub --plan --device=h1000", "did you mean 'h100'"),
        ("--config=df_gan:cub --plan --devices=5 --split", "cannot be split over 5 devices"),
        ("--config=xmc_gan:coco --plan --device=v100", "--dtype=float32"),
        ("--config=df_gan:cub --plan --devices=8,3 --fsdp=4", "fsdp=4 does not divide 3 devices"),
        ("--config=df_gan:cub --config=rat_gan:cub --profile=x", "one --config"),
        ("--config=configs/gan_int_cls.py:debug --data.bach=3", "did you mean 'batch'"),
        ("--config=configs/none.py", "no config file"),
    ],
)
def test_bad_input_is_one_line(argv, message, capsys):
    with pytest.raises(SystemExit) as stop:
        benchmark.main(argv.split())
    assert stop.value.code == 2
    assert message in capsys.readouterr().err
