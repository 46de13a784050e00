"""Published weights become runs: what is sampled is the network in the authors' files. Wrong and
damaged files are refused by the name of what is wrong, and nothing is written.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pth_files
import pytest
from imports import (
    CAPTIONS,
    KEY,
    WORDS,
    applied,
    damsm_text,
    levels,
    noise,
    noise_of,
    refused,
    size,
)
from tiny_runs import random_like

from t2i_jax import Sampler
from t2i_jax.commands import import_weights, sample
from t2i_jax.data.tokenizers import CharTokenizer, WordTokenizer
from t2i_jax.interop import attn_gan, char_cnn_rnn, damsm, dm_gan, dr_gan, stack_gan_v1
from t2i_jax.interop import stack_gan_v2 as v2
from t2i_jax.models.stack_gan_v1 import Generator, Stage2Generator
from t2i_jax.models.stack_gan_v2 import Generator as TreeGenerator
from t2i_jax.training import networks, runs

THREE_STAGE = {"attn_gan": attn_gan, "dm_gan": dm_gan, "dr_gan": dr_gan}
TINY = {"channels": 4, "condition_dim": 6, "noise_dim": 4, "residual_blocks": 1}


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    """(options, encoder, variables) of `damsm_text`."""
    return damsm_text(tmp_path_factory.mktemp("damsm"))


def three_stage(system):
    """(generator, variables, state dict) of tiny networks under the authors' names."""
    release = THREE_STAGE[system].RELEASE
    module = release.generator(scales=2, base_size=16, **TINY, **release.fields)
    text = (jnp.zeros((1, 8)), jnp.zeros((1, 3, 8)), jnp.ones((1, 3), bool))
    variables = random_like(lambda key: module.init(key, noise_of(module), *text, train=False), KEY)
    return module, variables, release.export_generator(module, variables)


@pytest.mark.parametrize("system", THREE_STAGE)
def test_the_attn_gan_family(system, words, tmp_path, capsys):
    options, encoder, encoder_vars = words
    module, variables, state = three_stage(system)
    if system == "dr_gan":  # a layer that no output depends on
        state["h_net2.global_reductionxx.0.weight"] = np.zeros((4, 4, 1, 1), np.float32)
    state = {f"module.{name}": array for name, array in state.items()}
    path = pth_files.write(tmp_path / "netG.pth", {"state_dict": state})
    argv = [f"--system={system}", f"--generator={path}", *options, f"--workdir={tmp_path / 'run'}"]
    import_weights.main([*argv, "--generator.mask_order=tiled", "--tokenizer.length=3"])
    told = capsys.readouterr().out
    assert f"{size(variables):,} parameters" in told and "images   16, 32 px" in told
    assert "word: 6 ids, the first 3 are read" in told

    config, ema = runs.load_ema(tmp_path / "run")
    assert config.generator.mask_order == "tiled" and config.data.size == 32
    assert jax.tree.all(jax.tree.map(np.array_equal, ema["params"]["g"], variables["params"]))
    sampler = Sampler.from_workdir(tmp_path / "run", batch_size=2)
    tokens, mask = WordTokenizer(WORDS, 3).encode(CAPTIONS)
    text = encoder.apply(encoder_vars, tokens, mask)
    with pytest.warns(match="4 tokens long; only the first 3 are read"):
        images = sampler.sample(CAPTIONS, seed=5, scale="all")
    tiled = module.clone(mask_order="tiled")
    expected = applied(tiled, variables, noise(sampler), *text).images
    for found, image in zip(images, expected, strict=True):
        assert levels(found, image) <= 1


def test_the_text_encoder_may_be_that_of_a_run(words, tmp_path):
    path = pth_files.write(tmp_path / "netG.pth", three_stage("attn_gan")[2])
    argv, first, second = (
        ["--system=attn_gan", f"--generator={path}"],
        *map(tmp_path.joinpath, "ab"),
    )
    import_weights.main([*argv, *words[0], f"--workdir={first}"])
    import_weights.main([*argv, f"--text_encoder={first}:encoder", f"--workdir={second}"])
    assert runs.read_tokenizer(second).to_json() == runs.read_tokenizer(first).to_json()
    same = networks.load_variables(second, "encoder"), words[2]
    assert jax.tree.all(jax.tree.map(np.array_equal, *same))
    assert runs.read_config(second).tokenizer.name == "word"


def char_text(golden_dir):
    path = golden_dir / "t7_samples" / "tiny_char_cnn_rnn_gru18.t7"
    if not path.is_file():
        pytest.skip(f"no {path}")
    return path, *char_cnn_rnn.load_torch7(path)


def test_stack_gan_v1_both_stages(golden_dir, tmp_path):
    """Either stage out of the file of the second, with captions that a Torch7 encoder reads."""
    text_path, encoder, encoder_vars = char_text(golden_dir)
    sizes = {"channels": 4, "condition_dim": 3}
    low = Generator(64, noise_dim=4, activation="relu", **sizes)
    high = Stage2Generator(256, residual_blocks=1, activation="relu", **sizes)
    sentence, image = jnp.zeros((1, encoder.embedding)), jnp.zeros((1, 64, 64, 3))
    low_vars = random_like(lambda k: low.init(k, noise_of(low), sentence, train=False), KEY)
    own = random_like(lambda k: high.init(k, image, noise_of(high), sentence, train=False), KEY)
    state = stack_gan_v1.export_stage2(high, {**own, "stage1": low_vars}, counts=False)
    path = pth_files.write(tmp_path / "netG_epoch_90.pth", state)
    for system in ("stack_gan_v1", "stack_gan_v1_stage2"):
        run, text = f"--workdir={tmp_path / system}", f"--text_encoder={text_path}"
        import_weights.main([f"--system={system}", f"--generator={path}", text, run])

    sentence = encoder.apply(encoder_vars, *CharTokenizer().encode(CAPTIONS)).sentence
    sampler = Sampler.from_workdir(tmp_path / "stack_gan_v1", batch_size=2)
    expected = applied(low, low_vars, noise(sampler), sentence).images[0]
    assert levels(sampler.sample(CAPTIONS, seed=5), expected) <= 1
    sampler = Sampler.from_workdir(tmp_path / "stack_gan_v1_stage2", batch_size=2)
    drawn, given = sampler.sample(CAPTIONS, seed=5, scale="all"), noise(sampler)
    first = {"z": given["z"], "eps": given["eps1"]}
    small = applied(low, low_vars, first, sentence).images[0]
    large = applied(high, own, small, {"eps": given["eps2"]}, sentence).images[0]
    assert levels(drawn[0], small) <= 1 and levels(drawn[1], large) <= 2


@pytest.mark.parametrize("conditional", [True, False])
def test_stack_gan_v2_from_embeddings_and_without_text(conditional, tmp_path, capsys):
    sizes = {**TINY, "condition_dim": 6 if conditional else 0, "scales": 1}
    module = TreeGenerator(**{**sizes, "residual_blocks": 2})
    sentence = jnp.zeros((1, 10)) if conditional else None
    variables = random_like(lambda k: module.init(k, noise_of(module), sentence, train=False), KEY)
    state = v2.export_generator(module, variables)
    path = pth_files.write(tmp_path / "netG_210000.pth", state)
    run = tmp_path / "run"
    import_weights.main(["--system=stack_gan_v2", f"--generator={path}", f"--workdir={run}"])
    told = capsys.readouterr().out
    sampler = Sampler.from_workdir(run, batch_size=2)
    if conditional:
        assert "sample(embeddings)" in told
        vectors = np.random.default_rng(1).normal(size=(2, 10)).astype(np.float32)
        images = sampler.sample(vectors, seed=5)
    else:
        vectors, images = None, sampler.sample(num=2, seed=5)
        sample.main([f"--workdir={run}", "--num=2", "--seed=5", f"--out={tmp_path / 'out'}"])
        assert (tmp_path / "out" / "grid.png").is_file()
    expected = applied(module, variables, noise(sampler), vectors).images[0]
    assert levels(images, expected) <= 1


def test_gan_int_cls_of_torch7(golden_dir, tmp_path):
    """The generator of the run draws what Torch7 drew."""
    folder = golden_dir / "t7_samples"
    if not folder.is_dir():
        pytest.skip(f"no {folder}")
    with np.load(folder / "expected.npz") as arrays:
        golden = {name: arrays[name] for name in ("in/z", "in/text", "out/g_eval_image")}
    argv = ["--system=gan_int_cls", f"--generator={folder / 'tiny_net_G_gpu_names.t7'}"]
    import_weights.main([*argv, f"--workdir={tmp_path / 'run'}"])
    sampler = Sampler.from_workdir(tmp_path / "run", batch_size=2)
    _, ema = runs.load_ema(tmp_path / "run")
    variables = {"params": ema["params"]["g"], **ema["stats"]["g"]}
    given = {"z": golden["in/z"][:, :, 0, 0]}, golden["in/text"]
    (images,) = applied(sampler.system.recipe.generator, variables, *given)
    wanted = golden["out/g_eval_image"].transpose(0, 2, 3, 1)
    np.testing.assert_allclose(images, wanted, atol=1e-5)
    assert sampler.sample(golden["in/text"][:2], seed=1).shape == (2, 64, 64, 3)


def broken(state, fault):
    name = "h_net1.upsample1.1.weight"
    array = state[name].copy()
    if fault == "missing":
        return {k: v for k, v in state.items() if k != name}
    if fault == "unknown":
        return {**state, "h_net9.extra.weight": np.zeros((1, 1), np.float32)}
    if fault == "misshapen":
        return {**state, name: array[:-2]}
    array[1, 2, 0, 0] = np.nan
    return {**state, name: array}


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ("missing", "h_net1.upsample1.1"),
        ("misshapen", "h_net1.upsample1.1.weight has shape (14, 16, 3, 3), not (16, 16, 3, 3)"),
        ("nan", "h_net1.upsample1.1.weight holds values that are not finite: 1 of 2,304"),
        ("unknown", "h_net9.extra.weight is unknown"),
    ],
)
def test_damaged_generators_are_refused_by_the_arrays_name(fault, told, words, tmp_path, capsys):
    path = pth_files.write(tmp_path / "netG.pth", broken(three_stage("attn_gan")[2], fault))
    argv = ["--system=attn_gan", f"--generator={path}", *words[0], f"--workdir={tmp_path / 'run'}"]
    message = refused(argv, capsys)
    assert told in message and str(path) in message


def test_what_does_not_fit_is_refused(words, golden_dir, tmp_path, capsys):
    options, encoder, variables = words
    path = pth_files.write(tmp_path / "netG.pth", three_stage("attn_gan")[2])
    begin, run = ["--system=attn_gan", f"--generator={path}"], f"--workdir={tmp_path / 'run'}"
    assert "give --text_encoder" in refused([*begin, run], capsys)
    assert "give --captions=captions.pickle" in refused([*begin, options[0], run], capsys)
    assert "draws no images" in refused(["--system=damsm", begin[1], run], capsys)
    text = f"--text_encoder={char_text(golden_dir)[0]}"
    message = refused([*begin, text, options[1], run], capsys)
    assert "--captions is for encoders of words" in message
    message = refused([*begin, text, run], capsys)
    assert "encoder.name='char_cnn_rnn' gives sentence vectors only" in message
    other = ["--system=dm_gan", begin[1], *options, run]
    assert "not a generator of DM-GAN: h_net2.M_w.0.weight is missing" in refused(other, capsys)
    wide = encoder.clone(embedding=10)
    wide_vars = random_like(wide.init, KEY, jnp.ones((1, 3), jnp.int32))
    text = pth_files.write(tmp_path / "text_encoder.pth", damsm.export_text_encoder(wide_vars))
    message = refused([*begin, f"--text_encoder={text}", options[1], run], capsys)
    assert "the generator does not fit the text encoder" in message
    state = damsm.export_text_encoder(variables)
    state["encoder.weight"] = np.concatenate([state["encoder.weight"]] * 2)
    text = pth_files.write(tmp_path / "text_encoder.pth", state)
    message = refused([*begin, f"--text_encoder={text}", options[1], run], capsys)
    assert "the encoder has 12 words, but the tokenizer's vocabulary 6" in message
    (tmp_path / "netG_cut.pth").write_bytes(path.read_bytes()[:2000])
    cut = ["--system=attn_gan", f"--generator={tmp_path / 'netG_cut.pth'}", *options, run]
    assert "netG_cut.pth: not a readable PyTorch checkpoint" in refused(cut, capsys)
    misspelt = [*begin, *options, run, "--generator.mask_oder=tiled"]
    assert "did you mean 'mask_order'" in refused(misspelt, capsys)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "notes.txt").write_text("mine")
    assert "exists already" in refused([*begin, *options, run], capsys)
