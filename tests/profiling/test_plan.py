"""Plans against programs that really run on 1, 2 and 4 virtual devices, and against arithmetic."""

import json

import jax
import pytest
from devices import use_devices
from test_benchmark import BATCH, HIDDEN, PIXELS, SIDE, net

from t2i_jax import config as configs
from t2i_jax.commands import benchmark
from t2i_jax.profiling import devices, plan, planned, step_time
from t2i_jax.profiling.collectives import Collective, collectives

GRADIENTS = 4 * (PIXELS * HIDDEN + HIDDEN)  # bytes
FIRST, LAST = 2 * BATCH * PIXELS * HIDDEN, 2 * BATCH * HIDDEN  # FLOPs of a forward pass
IMAGES = SIDE * SIDE * 3

LAYOUTS = [("jit", 1, 1), ("jit", 1, 2), ("jit", 1, 4), ("jit", 2, 4), ("pmap", 1, 2)]


@pytest.mark.parametrize(("parallel", "fsdp", "count"), LAYOUTS)
def test_memory_and_collectives_are_those_of_the_program_that_runs(
    parallel, fsdp, count, monkeypatch
):
    def workload(rows):
        work = net()
        work.system.config.update({"parallel": parallel, "fsdp": fsdp})
        batch = {k: v[:1].repeat(rows, 0) for k, v in work.batch.items()}
        return step_time.Workload(work.system, work.data, work.options, batch, None, ())

    use_devices(monkeypatch, count)
    monkeypatch.setattr(planned.step_time, "make_workload", lambda config, draw: workload(BATCH))
    config = configs.base()
    config.update({"parallel": parallel, "fsdp": fsdp})
    found = planned.program(config, BATCH)

    ready = step_time.prepare(workload(BATCH * count))
    inputs = ready.state, ready.frozen
    held = sum(x.addressable_shards[0].data.nbytes for x in jax.tree.leaves(inputs))
    held += BATCH * (IMAGES + 4 + 4)  # uint8 images, labels and positions of a device
    assert found["arguments"] == pytest.approx(held, rel=0.01)
    memory = found["arguments"] + found["temporaries"] + found["results"]
    assert memory == ready.compiled.peak_bytes
    ready.run()

    sent = sum(kind["sent"] for kind in found["collectives"].values())
    if count == 1:
        assert sent == 0
    elif fsdp == 1:
        reduced = 2 * (count - 1) / count * GRADIENTS
        assert reduced <= sent < reduced + 1000  # and a few scalars
    else:
        # Of each half of the weights two devices hold the gradient's sum.
        assert sent > (count - 1) / count * GRADIENTS
        assert held < 0.6 * 4 * GRADIENTS
    products = count * (2 * FIRST + 3 * LAST)
    assert products < found["flops"] < 1.06 * products + 15 * GRADIENTS / 4


HLO = """
  %all-reduce.1 = f32[128,64]{1,0} all-reduce(%dot), replica_groups={{0,1,2,3}}, to_apply=%add
  %r = (f32[8]{0}, bf16[4,2]{1,0}) all-reduce(%a, %b), replica_groups={}, to_apply=%add
  %g = f32[16,4]{1,0} all-gather(%x), replica_groups=[2,2]<=[4], dimensions={0}
  %s = f32[4,4]{1,0} reduce-scatter(%x), replica_groups=[1,4]<=[2,2]T(1,0), dimensions={0}
  %t = f32[16]{0} all-to-all(%x), replica_groups=mesh['a'=2,'b'=2] {'a','b'}, dimensions={0}
  %m = f32[16]{0} all-reduce(%x), replica_groups=mesh['a'=4,'b'=2] {'a':(2)2}, to_apply=%add
  ROOT %p = s32[10]{0} collective-permute(%x), source_target_pairs={{0,1},{1,0}}
  %as = (f32[4]{0}, f32[16]{0}) all-gather-start(%x), replica_groups={{0,1,2,3}}, dimensions={0}
  %ad = f32[16]{0} all-gather-done(%as)
  %f = f32[16]{0} fusion(%all-reduce.1), kind=kLoop, calls=%c, metadata={op_name="all-reduce("}
"""


def test_collectives_of_a_text():
    found = collectives(HLO, 4)
    assert found == [
        Collective("all-reduce", 4 * 128 * 64, 4),
        Collective("all-reduce", 4 * 8 + 2 * 8, 4),
        Collective("all-gather", 4 * 64, 2),
        Collective("reduce-scatter", 4 * 16 * 4, 4),
        Collective("all-to-all", 4 * 16, 4),
        Collective("all-reduce", 4 * 16, 2),
        Collective("collective-permute", 4 * 10, 4),
        Collective("all-gather", 4 * 16, 4),
    ]
    # A ring of 4: a reduce-scatter sends 3 of 4 parts, an all-gather as many again.
    assert [c.sent for c in found[:2]] == [1.5 * 4 * 128 * 64, 1.5 * 48]
    assert [c.sent for c in found[2:5]] == [128, 192, 48]
    assert found[6].sent == 40


def test_unknown_groups_are_told():
    with pytest.raises(ValueError, match="replica_groups=new"):
        collectives("%r = f32[8]{0} all-reduce(%a), replica_groups=new, to_apply=%add", 4)


def test_the_longest_time_bounds():
    program = {
        "devices": 16,
        "rows": 4,
        "flops": 16 * 494.7e12 * 0.4 * 0.010,  # 10 ms of each H100 at 40 %
        "arguments": 60e9,
        "temporaries": 19e9,
        "results": 0,
        "bytes_accessed": 3350e9 * 0.008,
        "collectives": {"all-reduce": {"number": 3, "sent": 50e9 * 0.025}},
        "seconds": 1.0,
    }
    h100 = devices.find("h100")
    found = plan.row(program, h100, "float32", d_steps=2)
    times = found.compute, found.bandwidth, found.network
    assert times == pytest.approx((0.010, 0.008, 0.025))
    assert found.bound == "network" and found.fits and found.images == 128
    assert found.images_per_second == pytest.approx(128 / 0.025)
    assert found.mfu == pytest.approx(0.4 * 10 / 25)
    inside = plan.row({**program, "devices": 8}, h100, "float32", 1)
    assert inside.network == pytest.approx(0.025 / 9) and inside.bound == "compute"
    assert not plan.row({**program, "results": 2e9}, h100, "float32", 1).fits
    with pytest.raises(ValueError, match="bfloat16"):
        plan.row(program, devices.find("v100"), "bfloat16", 1)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("NVIDIA H100 80GB HBM3", "h100"),
        ("NVIDIA H100 PCIe", "h100-pcie"),
        ("NVIDIA H200", "h200"),
        ("NVIDIA A100-SXM4-40GB", "a100-40gb"),
        ("NVIDIA A100 80GB PCIe", "a100-pcie"),
        ("NVIDIA L4", "l4"),
        ("Tesla V100-SXM2-16GB", "v100"),
        ("Tesla T4", "t4"),
        ("TPU v4", "tpu-v4"),
        ("TPU v5 lite", "tpu-v5e"),
        ("TPU v5", "tpu-v5p"),
        ("TPU v5p", "tpu-v5p"),
        ("TPU v6 lite", "tpu-v6e"),
        ("NVIDIA L40S", None),
        ("cpu", None),
    ],
)
def test_devices_by_jax_s_names(kind, name):
    assert devices.recognised(kind) == (devices.DEVICES[name] if name else None)


def test_data_sheets():
    """TPU v5e's sheet gives 51.2 TB/s of all-reduce for a pod of 256 chips: 200 GB/s a chip."""
    v5e = devices.find("tpu-v5e")
    assert v5e.between(256) == 51.2e12 / 256 and v5e.between(257) == 6.4e12 / 8 / 256
    h100 = devices.find("h100")
    assert h100.peak("bfloat16") == 2 * h100.peak("float32")  # TF32 is half as fast
    assert devices.find("v100").peak("bfloat16") is None


def test_from_the_command_line(tmp_path, capsys):
    out = tmp_path / "plan.json"
    argv = (
        "--config=toy_attributes:debug --plan --devices=2 --device=tpu-v5e,l4 --data.data_dir=none"
    )
    benchmark.main([*argv.split(), f"--out={out}"])
    found, other = json.loads(out.read_text())
    assert other["device"] == "l4" and other["sent"] == found["sent"]
    config = configs.load("toy_attributes:debug")
    assert found["devices"] == 2 and found["rows"] == config.data.batch
    assert found["images"] == 2 * config.data.batch * config.d_steps
    reduced = 4 * sum(found["parameters"].values())  # of 2 devices each sends one copy
    assert reduced <= found["sent"]["all-reduce"] < 1.2 * reduced
    shown = capsys.readouterr().out
    assert "on tpu-v5e, jit" in shown and "estimates" in shown and "noise" in shown
