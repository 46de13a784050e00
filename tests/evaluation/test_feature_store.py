"""Features on disk: order, what a kill leaves, several writers."""

import multiprocessing
import time

import numpy as np
import pytest

from t2i_jax.evaluation.feature_store import HEADER, FeatureStore

WIDTHS = {"pool": 3, "logits": 2}


def rows(start: int, stop: int) -> dict[str, np.ndarray]:
    n = np.arange(start, stop, dtype=np.float32)
    return {"pool": n[:, None] + [0.0, 0.25, 0.5], "logits": -n[:, None] * [1, 2]}


def filled(folder, count=20, stretches=1) -> FeatureStore:
    store = FeatureStore(folder, {"of": "x"}, count, WIDTHS, stretches)
    for i, (start, stop) in enumerate(store.stretches):
        for at in range(start, stop, 3):
            store.append(rows(at, min(at + 3, stop)), i)
    return store


@pytest.mark.parametrize("stretches", [1, 3])
def test_rows_come_back_in_their_order(tmp_path, stretches):
    layer = filled(tmp_path, stretches=stretches).layer("pool")
    everything = rows(0, 20)["pool"]
    assert len(layer) == 20 and layer.width == 3
    np.testing.assert_array_equal(layer[:], everything)
    np.testing.assert_array_equal(layer[5:9], everything[5:9])
    order = np.random.default_rng(0).integers(0, 20, 50)
    np.testing.assert_array_equal(layer[order], everything[order])
    parts = list(layer.blocks(7))
    assert [len(p) for p in parts] == [7, 7, 6]
    np.testing.assert_array_equal(np.concatenate(parts), everything)
    assert layer[np.array([], int)].shape == (0, 3)
    with pytest.raises(IndexError, match="rows 3..20 of 20"):
        layer[np.array([3, 20])]


@pytest.mark.parametrize("cut", [1, 11, 13])
def test_what_a_kill_cut_short_is_made_again(tmp_path, cut):
    store = FeatureStore(tmp_path, {"of": "x"}, 20, WIDTHS)
    store.append(rows(0, 5))
    # A kill within the next batch: one layer whole, of the other a part of a row.
    with open(store._file("pool", 0), "ab") as file:
        file.write(rows(5, 7)["pool"].astype("<f4").tobytes())
    with open(store._file("logits", 0), "ab") as file:
        file.write(rows(5, 7)["logits"].astype("<f4").tobytes()[:cut])
    again = FeatureStore(tmp_path, {"of": "x"}, 20, WIDTHS)
    assert again.done() == 5 + cut // 8 and not again.complete
    with pytest.raises(ValueError, match=f"{again.done()} of 20 rows are done"):
        again.layer("pool")
    again.append(rows(again.done(), 20))
    for name in WIDTHS:
        np.testing.assert_array_equal(again.layer(name)[:], rows(0, 20)[name])


def test_what_rows_depend_on_names_their_folder(tmp_path):
    first = FeatureStore(tmp_path, {"of": "x"}, 20, WIDTHS)
    others = [
        FeatureStore(tmp_path, {"of": "y"}, 20, WIDTHS),
        FeatureStore(tmp_path, {"of": "x"}, 21, WIDTHS),
        FeatureStore(tmp_path, {"of": "x"}, 20, {**WIDTHS, "pool": 4}),
    ]
    assert len({store.folder for store in [first, *others]}) == 4
    assert '"of": "x"' in (first.folder / HEADER).read_text()


def test_rows_that_cannot_be_are_refused(tmp_path):
    store = FeatureStore(tmp_path, {}, 4, WIDTHS)
    with pytest.raises(ValueError, match=r"pool is \(2,\), not \(3,\)"):
        store.append({"pool": np.zeros((1, 2)), "logits": np.zeros((1, 2))})
    with pytest.raises(ValueError, match="behind 0 of 4"):
        store.append(rows(0, 5))
    store.append(rows(0, 2))
    broken = rows(2, 4)
    broken["logits"][1, 0] = np.nan
    with pytest.raises(ValueError, match="features 'logits' of image 3 are NaN"):
        store.append(broken)
    with pytest.raises(ValueError, match="0 rows in 2 layers"):
        FeatureStore(tmp_path, {}, 0, WIDTHS)


def _hold(folder, ready):
    store = FeatureStore(folder, {"of": "x"}, 20, WIDTHS)
    with store.writing():
        ready.set()
        time.sleep(0.5)
        store.append(rows(0, 20))


def test_a_second_writer_waits_and_says_so(tmp_path):
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    other = context.Process(target=_hold, args=(tmp_path, ready))
    other.start()
    assert ready.wait(60)
    said, store = [], FeatureStore(tmp_path, {"of": "x"}, 20, WIDTHS)
    with store.writing(say=said.append):
        assert store.complete
    other.join()
    assert len(said) == 1 and "waiting" in said[0]
