"""Takes the place of ``python -m t2i_jax.train``: the same options and files, but no networks.

$STAND_IN names a JSON file: "config" is the resolved config without overrides; "acts" says by the
name of a run what happens in it: "seconds" of a step; "fail_at" a step, with the line "why";
"forever" for steps without end; "deaf" to SIGTERM.
"""

import ast
import json
import os
import pathlib
import signal
import sys
import time

given = dict(argument[2:].split("=", 1) for argument in sys.argv[1:])
run = pathlib.Path(given.pop("workdir"))
spec = given.pop("config")
told = json.loads(pathlib.Path(os.environ["STAND_IN"]).read_text())
config, acts = told["config"], told["acts"].get(run.name, {})
for field, text in {"data.seed": given["seed"], **given}.items():
    *sections, leaf = field.split(".")
    node = config
    for section in sections:
        node = node[section]
    old = node.get(leaf, "")
    node[leaf] = text if isinstance(old, str) else type(old)(ast.literal_eval(text))

run.mkdir(parents=True, exist_ok=True)
start = {
    "run": f"{run.parent.name}/{run.name}",
    "time": time.time(),
    "cores": sorted(os.sched_getaffinity(0)),
    "gpus": os.environ.get("CUDA_VISIBLE_DEVICES"),
    "cache": os.environ.get("T2I_JAX_CAPTION_CACHE"),
    "loss": config["loss"],
    "config": spec,
}
with open(pathlib.Path(os.environ["STAND_IN"]).with_name("starts.jsonl"), "a") as file:
    file.write(json.dumps(start) + "\n")
(run / "config.json").write_text(json.dumps(config))
checkpoints = run / "checkpoints"
checkpoints.mkdir(exist_ok=True)
done = max((int(path.name) for path in checkpoints.iterdir()), default=0)


def save(step: int) -> None:
    """The files by which a checkpoint is known."""
    for item, name in (
        *(("ema", "_METADATA"), ("train", "_METADATA"), ("config", "config.json")),
        *(("digests", "process_0.json"), ("data", "process_0.json")),
    ):
        (checkpoints / str(step) / item).mkdir(parents=True, exist_ok=True)
        (checkpoints / str(step) / item / name).touch()


stopped = []
signal.signal(signal.SIGTERM, lambda *_: stopped.append(1))
total = int(config["train"]["duration"].split()[0])
step = done
while step < total or acts.get("forever"):
    step += 1
    if step == acts.get("fail_at"):
        print("error: " + acts["why"], file=sys.stderr)
        sys.exit(2)
    with (run / "metrics.jsonl").open("a") as file:
        loss = acts.get("loss", config["loss"]["g"]["interp"])
        file.write(json.dumps({"step": step, "d/total": loss}) + "\n")
    time.sleep(acts.get("seconds", 0))
    if stopped and not acts.get("deaf"):
        save(step)
        sys.exit(143)
save(total)
