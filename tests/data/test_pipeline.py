"""The promises of the pipeline: one order whatever runs it, every record once, exact resumption."""

import dataclasses
import json
import mmap

import grain
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from t2i_jax.data import record_order
from t2i_jax.data.batches import BatchMaker
from t2i_jax.data.pipeline import DataOptions, make_pipeline
from t2i_jax.data.tokenizers import WordPieceTokenizer
from t2i_jax.training.parallel import JitParallel

from .sources import TOKENIZER, MemorySource

SOURCE = MemorySource()
OPTIONS = DataOptions(size=16, batch=8, captions=2, mismatch="image", threads=1, seed=3)


def pipeline(index=0, count=1, source=SOURCE, tokenizer=TOKENIZER, sentences=None, **changes):
    return make_pipeline(
        dataclasses.replace(OPTIONS, **changes),
        tokenizer,
        process_index=index,
        process_count=count,
        sentences=sentences,
        source=source,
    )


def take(batches, count):
    return [next(batches) for _ in range(count)]


def assert_same(left, right):
    assert left.keys() == right.keys()
    for key in left:
        np.testing.assert_array_equal(left[key], right[key], err_msg=key)


def joined(parts):
    return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}


class WithAttributes(MemorySource):
    """Records whose attributes are their number's last digit and whether it is even."""

    def __getitem__(self, index):
        return {
            **super().__getitem__(index),
            "attributes": {"digit": index % 10, "even": index % 2},
        }


def test_a_batch_holds_the_attributes_that_are_named():
    batch = next(pipeline(source=WithAttributes(), attributes=("even", "digit")))
    index = batch["index"]
    np.testing.assert_array_equal(batch["attributes"], np.stack([index % 2, index % 10], axis=1))
    assert batch["attributes"].dtype == np.int32
    with pytest.raises(ValueError, match=r"no attribute beak; it has: digit, even"):
        next(pipeline(source=WithAttributes(), attributes=("even", "beak")))
    with pytest.raises(ValueError, match=r"no attribute even; it has: none"):
        next(pipeline(attributes=("even",)))


def text_of(row):
    return [text for text in TOKENIZER.decode(row)]


def test_a_batch_holds_what_its_records_hold():
    batch = next(pipeline(mismatch="caption"))
    shapes = {key: (value.shape, value.dtype) for key, value in batch.items()}
    ids, mask = ((8, 2, 32), np.dtype(np.int32)), ((8, 2, 32), np.dtype(bool))
    assert shapes == {
        "images": ((8, 16, 16, 3), np.dtype(np.uint8)),
        "label": ((8,), np.dtype(np.int32)),
        "index": ((8,), np.dtype(np.int32)),
        "tokens": ids,
        "mask": mask,
        "wrong_tokens": ids,
        "wrong_mask": mask,
    }
    for row, index in enumerate(batch["index"]):
        assert batch["label"][row] == SOURCE.labels[index]
        texts = text_of(batch["tokens"][row])
        assert len(set(texts)) == 2 and set(texts) < set(SOURCE[index]["captions"])
        for text in text_of(batch["wrong_tokens"][row]):
            assert SOURCE.labels[int(text.split()[1])] != batch["label"][row]


def test_windows_of_narratives_reach_the_batch(tmp_path):
    words = "[PAD] [UNK] [CLS] [SEP] one two three four five .".split()
    (tmp_path / "vocab.txt").write_text("\n".join(words))
    source = MemorySource(count=2)
    for record in source.records:
        record["captions"] = ["One two. Three four. Five."]
    tokenizer = WordPieceTokenizer.from_file(str(tmp_path), length=8)
    given = dict(source=source, tokenizer=tokenizer, mismatch="", captions=1, batch=40)
    for truncate, expected in {
        "head": {"one two. three four."},
        "sentences": {"one two. three four.", "three four. five."},
    }.items():
        batch = next(pipeline(truncate=truncate, **given))
        assert set(tokenizer.decode(batch["tokens"][:, 0])) == expected
        ends = batch["tokens"][np.arange(40), 0, batch["mask"][:, 0].sum(axis=1) - 1]
        assert (ends == words.index("[SEP]")).all()


class Coloured(MemorySource):
    """Records whose captions name two colours, none, or two that are cut off."""

    captions = ("red bird {}, blue wings", "bird {}", "{}" + " bird" * 6 + " red, blue wings")

    def __getitem__(self, index):
        return {**super().__getitem__(index), "captions": [self.captions[index % 3].format(index)]}


def test_swapped_captions_are_wrong_as_the_encoder_reads_them():
    source = Coloured(count=30, label=lambda i: i % 5)
    batch = next(pipeline(source=source, mismatch="swapped", captions=1, batch=60))
    kinds = set()
    for row, index in enumerate(batch["index"]):
        (own,), (wrong,) = text_of(batch["tokens"][row]), text_of(batch["wrong_tokens"][row])
        assert batch["wrong_mask"][row].sum() == len(wrong)
        if index % 3 == 0:
            assert own == f"red bird {index}, blue wings"
            assert wrong == f"blue bird {index}, red wings"
        else:  # of another class, with its own colours as they are
            other = next(
                int(word.strip(",")) for word in wrong.split() if word.strip(",").isdigit()
            )
            assert source.labels[other] != batch["label"][row]
            assert wrong == source[other]["captions"][0][:32]
        kinds.add(index % 3)
    assert kinds == {0, 1, 2}
    again = pipeline(1, 2, source=source, mismatch="swapped", captions=1, batch=60)
    assert_same(next(again), {key: value[30:] for key, value in batch.items()})


@pytest.mark.parametrize("rule", record_order.SAMPLINGS)
@pytest.mark.parametrize("count", [2, 4])
def test_processes_hold_slices_of_the_same_global_batches(rule, count):
    alone = pipeline(sampling=rule, batch=4)
    group = [pipeline(i, count, sampling=rule, batch=4) for i in range(count)]
    for _ in range(8):
        assert_same(next(alone), joined([next(member) for member in group]))


@settings(deadline=None, max_examples=20)
@given(
    seed=st.integers(0, 2**32 - 1),
    records=st.integers(2, 23),
    local=st.integers(1, 6),
    processes=st.sampled_from([1, 4]),
)
def test_a_pass_holds_every_record_once(seed, records, local, processes):
    source = MemorySource(2)  # its images stand for all
    source.labels = np.full(records, -1, np.int32)
    source.records = [{**source.records[i % 2], "label": -1} for i in range(records)]
    batch = local * processes
    group = [
        pipeline(i, processes, source, batch=batch, mismatch="", captions=0, seed=seed)
        for i in range(processes)
    ]
    steps = -(-3 * records // batch)  # three passes; batches straddle their ends
    seen = np.concatenate(
        [joined([member.batch_at(step) for member in group])["index"] for step in range(steps)]
    )
    for number in range(3):
        one_pass = seen[number * records : (number + 1) * records]
        assert sorted(one_pass) == list(range(records))


@settings(deadline=None, max_examples=10)
@given(
    before=st.integers(0, 7),
    old=st.sampled_from([1, 2, 4]),
    new=st.sampled_from([1, 2, 4]),
    threads=st.sampled_from([1, 3]),
    rule=st.sampled_from(["epoch", "class_balanced"]),
)
def test_resuming_is_exact_on_any_number_of_processes(before, old, new, threads, rule):
    uninterrupted = pipeline(sampling=rule)
    take(uninterrupted, before)
    first = [pipeline(i, old, sampling=rule) for i in range(old)]
    for member in first:
        take(member, before)
    states = [json.loads(json.dumps(member.state())) for member in first]
    assert all(state == states[0] for state in states)
    second = [pipeline(i, new, sampling=rule, threads=threads) for i in range(new)]
    for member in second:
        take(member, 2)  # restoring must also undo what was read before
        member.restore(states[0])
    for _ in range(4):
        assert_same(next(uninterrupted), joined([next(member) for member in second]))


def test_worker_processes_give_the_same_batches_and_resume():
    plain, workers = pipeline(), pipeline(workers=2)
    try:
        for _ in range(3):
            expected, got = next(plain), next(workers)
            assert_same(expected, got)
            assert all(type(value) is np.ndarray for value in got.values())
        assert workers.state() == plain.state()
    finally:
        workers.close()


def test_batches_of_worker_processes_do_not_lie_in_their_shared_memory():
    batches = pipeline(workers=1, mismatch="caption")
    try:
        for batch in take(batches, 2):
            assert {key for key, value in batch.items() if not value.flags.owndata} == set()
    finally:
        batches.close()


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.float32, bool])
def test_on_a_cpu_a_device_takes_the_memory_of_a_page_as_its_own(dtype):
    """Why the pipeline copies: Grain's shared memory begins at a page, and is unmapped."""
    shape = (1, 8, 64, 64)
    page = mmap.mmap(-1, 8 * 64 * 64 * np.dtype(dtype).itemsize)
    array = np.frombuffer(page, dtype).reshape(shape)
    put = JitParallel().put_batch({"images": array})["images"]
    shards = [np.asarray(shard.data) for shard in put.addressable_shards]
    assert all(np.shares_memory(shard, array) for shard in shards)


def test_threads_prefetch_and_the_example_change_nothing():
    plain, quick = pipeline(), pipeline(threads=4, prefetch=6)
    assert_same(plain.example_batch(), plain.batch_at(0))
    for step in range(6):
        expected = next(plain)
        assert_same(expected, next(quick))
        assert_same(expected, plain.batch_at(step))
    assert plain.state()["step"] == 6


def test_rows_draw_from_the_streams_that_grain_gives_them():
    class Draws:
        image_shapes = {"images": (1, 1, 3)}

        def __call__(self, position, rng, images):
            images["images"][...] = rng.integers(256, size=3)
            return {"position": np.int64(position), "draws": rng.normal(size=2)}

    def alone(position, rng):
        images = {"images": np.zeros((1, 1, 3), np.uint8)}
        return Draws()(position, rng, images) | images

    grains = grain.MapDataset.range(1000).random_map(alone, seed=7).batch(5)
    ours = BatchMaker(Draws(), 5, 7)
    for number in (0, 3, 199, 3):
        assert_same(ours(number), grains[number])


def test_passes_and_seeds_differ():
    first, other = pipeline(batch=23, mismatch=""), pipeline(batch=23, mismatch="", seed=4)
    one, two = take(first, 2)
    assert not np.array_equal(one["index"], two["index"])
    assert not np.array_equal(one["index"], next(other)["index"])
    # The same record is augmented anew in the next pass.
    again = np.argsort(two["index"])[one["index"]]
    equal = [np.array_equal(x, two["images"][j]) for x, j in zip(one["images"], again, strict=True)]
    assert np.mean(equal) < 0.2


def test_a_run_resumes_with_the_records_of_earlier_versions():
    expected = {
        "epoch": [27, 5, 4, 18, 0],
        "class_balanced": [27, 29, 9, 28, 17],
        "distinct_classes": [10, 23, 27, 21, 19],
    }
    for sampling, records in expected.items():
        made = pipeline(source=MemorySource(30), sampling=sampling, batch=5)
        assert made.batch_at(2)["index"].tolist() == records


def test_class_balanced_batches_pair_different_classes():
    few = MemorySource(30, label=lambda i: 0 if i < 24 else 1 + i % 3)
    batch = pipeline(source=few, sampling="class_balanced", mismatch="caption", batch=200).batch_at(
        0
    )
    counts = np.bincount(batch["label"], minlength=4)
    assert counts.min() > 25  # classes count alike, whatever their sizes
    partners = [few.labels[int(text_of(row)[0].split()[1])] for row in batch["wrong_tokens"]]
    assert not np.any(partners == batch["label"])


def test_records_without_a_class_are_their_own_class():
    unlabelled = MemorySource(6, label=lambda i: -1)
    batch = pipeline(source=unlabelled, mismatch="caption", batch=60).batch_at(0)
    np.testing.assert_array_equal(batch["label"], batch["index"])
    partners = [int(text_of(row)[0].split()[1]) for row in batch["wrong_tokens"]]
    assert not np.any(partners == batch["index"])


def test_wrong_captions_come_without_decoding_their_images():
    source = MemorySource(2, label=lambda i: i)
    source.records[1]["image"] = b"not an image"
    maker = pipeline(source=source, mismatch="caption", batch=1)
    texts = []
    for step in range(2):
        try:
            texts += text_of(maker.batch_at(step)["wrong_tokens"][0])
        except ValueError:
            continue  # record 1 itself
    assert len(texts) == 2 and all(text.startswith("record 1 ") for text in texts)


def test_sentences_are_means_over_the_drawn_captions(tmp_path):
    table = np.random.default_rng(0).normal(size=(23, 3, 4)).astype(np.float32)
    np.save(tmp_path / "sentences.npy", table)
    mapped = np.load(tmp_path / "sentences.npy", mmap_mode="r")
    settings = dict(captions=3, mismatch="caption", tokenizer=None)
    batch = next(pipeline(sentences=mapped, **settings))
    assert "tokens" not in batch
    expected = table[batch["index"]].mean(1)
    np.testing.assert_allclose(batch["sentence"], expected, rtol=1e-6)
    assert batch["wrong_sentence"].shape == (8, 4)
    workers = pipeline(sentences=mapped, workers=1, **settings)
    assert_same(batch, next(workers))
    workers.close()


def test_stored_embeddings_are_drawn_like_captions():
    batch = next(pipeline(text="embeddings", captions=1, tokenizer=None, mismatch=""))
    np.testing.assert_array_equal(batch["sentence"][:, 0], batch["index"])
    assert set(batch["sentence"][:, 1]) <= {0, 1, 2, 3}


def test_training_without_text():
    batch = next(pipeline(captions=0, tokenizer=None, mismatch=""))
    assert batch.keys() == {"images", "label", "index"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sampling": "eposh"}, "data.sampling must be one of .*, got 'eposh'"),
        ({"resize": "long_side"}, "data.resize"),
        ({"crop": "left"}, "data.crop"),
        ({"mismatch": "images"}, "data.mismatch"),
        ({"text": "words"}, "data.text"),
        ({"truncate": "tail"}, "data.truncate"),
        ({"batch": 0}, "data.batch=0"),
        ({"prefetch": 0}, "data.prefetch=0"),
        ({"load_ratio": 0.9}, "data.load_ratio"),
        ({"seed": 2**32}, "data.seed"),
        ({"resize": "short_side", "crop": "none"}, "short_side"),
        ({"mismatch": "caption", "captions": 0}, "data.captions"),
        ({"mismatch": "swapped", "captions": 0}, "'swapped' needs data.captions"),
        ({"mismatch": "swapped", "text": "embeddings"}, "set data.text='tokens'"),
        ({"mismatch": "swapped", "truncate": "thin"}, "may leave out: set data.truncate='head'"),
        ({"truncate": "thin"}, "word tokenizer"),
        (
            {"truncate": "sentences", "sentences": np.zeros((23, 3, 4))},
            "data.truncate='sentences'.*data.truncate='head' or turn encoder.cache off",
        ),
        (
            {"truncate": "thin", "text": "embeddings", "tokenizer": None},
            "data.truncate='thin'.*data.truncate='head' or set data.text='tokens'",
        ),
        ({"tokenizer": None}, "needs a tokenizer"),
        ({"count": 3}, "data.batch=8 is the global batch; the 3 processes"),
        ({"index": 2, "count": 2}, "process_index=2"),
        ({"sampling": "distinct_classes"}, "batch=8, but data set/train has 5 classes"),
        ({"sentences": np.zeros((5, 3, 4))}, "23 records"),
        ({"source": MemorySource(0)}, "no records"),
        ({"source": MemorySource(1, label=lambda i: 7)}, "two classes"),
    ],
)
def test_mistakes_are_named(changes, message):
    with pytest.raises(ValueError, match=message):
        pipeline(**changes)


def test_broken_records_are_named():
    source = MemorySource(1, label=lambda i: -1)
    source.records[0]["image"] = source.records[0]["image"][:40]
    with pytest.raises(ValueError, match=r"'id0' \(file 'folder/0.jpg'\).*not an image"):
        next(pipeline(source=source, mismatch="", batch=1))
    source = MemorySource(1, label=lambda i: -1)
    source.records[0]["captions"] = []
    with pytest.raises(ValueError, match="'id0'.*has no captions"):
        next(pipeline(source=source, mismatch="", batch=1))


def test_a_position_of_another_order_is_refused():
    state = pipeline(seed=5).state()
    with pytest.raises(ValueError, match="seed was 5, is 3"):
        pipeline().restore(state)
    with pytest.raises(ValueError, match="batch was 8, is 4"):
        pipeline(batch=4).restore(pipeline().state())


@pytest.mark.parametrize(
    ("source", "sampling"),
    [(SOURCE, "class_balanced"), (MemorySource(23, label=lambda i: -1), "epoch")],
)
def test_sampling_that_is_left_open_is_that_of_the_data(source, sampling):
    auto, named = (pipeline(source=source, sampling=x) for x in ("auto", sampling))
    assert auto.state() == named.state() and auto.state()["sampling"] == sampling
    assert_same(next(auto), next(named))


def test_a_class_of_all_records_mismatches_as_none_would():
    """And no record is then taken for another's like."""
    batches = [
        next(pipeline(source=MemorySource(23, label=lambda i, c=c: c), sampling="auto"))
        for c in (6, -1)
    ]
    assert_same(*batches)
    np.testing.assert_array_equal(batches[0]["label"], batches[0]["index"])
