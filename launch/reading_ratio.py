"""How fast the input pipeline reads photos, next to nothing but decoding them with simplejpeg.

    python launch/reading_ratio.py [--photos=FOLDER | --data_dir=data --dataset=cub] \\
        [--size=256] [--rounds=9] [--against=CHECKOUT] [--out=FILE]

One thread on one core. In every round the raw decoder (whole images, defaults) and the pipeline
with each of its resizes take turns; the ratio of a round is images per CPU-second of the pipeline
over those of the decoder, and the median of all rounds is printed with the range of their middle
half. The pipeline does all that a training asks for: record, decoding, resize, random crop, mirror,
one caption in ids of characters, batch. Of --photos the bytes lie in memory; a prepared set is
read from disk. Without either the photos are 500 x 375 pixels of drawn birds with noise.
--against measures another checkout of t2i_jax in the same rounds, each in a process of its own.
Needs `pip install simplejpeg`.
"""

import argparse
import importlib.util
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence

import cv2
import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[1]
RESIZES = ("square", "short_side")
CAPTION = "this small bird has a white belly, brown wings and a short pointed beak"
DRAWN = 64  # photos, where none are given
BATCH = 16


class Records:
    """At most `count` records of a source, the same in every run; files that simplejpeg refuses
    (other formats, damaged JPEGs) are left out.
    """

    def __init__(self, source, count: int):
        import simplejpeg

        self.indices, self.data = [], []
        self._source = source
        for index in np.random.default_rng(0).permutation(len(source)).tolist():
            data = source[index]["image"]
            try:
                simplejpeg.decode_jpeg(data)
            except ValueError:
                continue
            self.indices.append(index)
            self.data.append(data)
            if len(self.data) == count:
                break
        if not self.data:
            raise SystemExit("none of the images is a JPEG that simplejpeg decodes")
        self.labels = np.full(len(self.data), -1, np.int32)

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> Mapping:
        return self._source[self.indices[index]]


def records_of(photos: Sequence[bytes]) -> list[dict]:
    """Records in memory, of the prepared sets' schema."""
    box = np.zeros(4, np.float32)
    return [
        {"image": data, "captions": [CAPTION] * 10, "label": -1, "bbox": box, "image/id": str(i)}
        for i, data in enumerate(photos)
    ]


def drawn_photos() -> list[bytes]:
    """JPEGs of 500 x 375 pixels and some 40 kB."""
    from t2i_jax.data import toy_birds

    photos = []
    for i in range(DRAWN):
        image = cv2.resize(toy_birds.generate(i, size=128).image, (500, 375))
        noise = np.random.default_rng(i).normal(0, 8, (94, 125, 1))
        image = np.clip(image + cv2.resize(noise, (500, 375))[..., None], 0, 255).astype(np.uint8)
        photos.append(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes())
    return photos


def opened(args: argparse.Namespace) -> Records:
    """The records that the options name."""
    if args.dataset:
        from t2i_jax.data import catalog

        source = catalog.open_split(args.dataset, args.data_dir, args.split)
    elif args.photos:
        suffixes = (".jpg", ".jpeg")
        files = sorted(p for p in args.photos.rglob("*") if p.suffix.lower() in suffixes)
        source = records_of([file.read_bytes() for file in files])
    else:
        source = records_of(drawn_photos())
    return Records(source, args.images)


def work(args: argparse.Namespace) -> None:
    """One side: for every line on stdin a round, its milliseconds an image in a line on stdout."""
    import simplejpeg

    from t2i_jax.data import decode, throughput
    from t2i_jax.data.options import DataOptions
    from t2i_jax.data.tokenizers import CharTokenizer

    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    source, tokenizer = opened(args), CharTokenizer(length=201)
    sizes = [decode.image_size(data) for data in source.data]
    told = {
        "images": len(source),
        "pixels": np.mean(sizes, axis=0).tolist(),
        "bytes": float(np.mean([len(data) for data in source.data])),
    }
    print(json.dumps(told), flush=True)
    for _ in sys.stdin:
        found = {}
        begin, decoded = time.process_time(), 0
        while time.process_time() - begin < args.seconds / 2:
            for data in source.data:
                simplejpeg.decode_jpeg(data)
            decoded += len(source)
        found["simplejpeg"] = {"image": (time.process_time() - begin) / decoded * 1e3}
        for resize in RESIZES:
            options = DataOptions(size=args.size, batch=BATCH, threads=1, resize=resize)
            measured = throughput.measure(options, tokenizer, args.seconds, source=source)
            whole = 1e3 / measured.images_per_cpu_second
            rest = whole - sum(measured.stages.values())
            found[resize] = {"image": whole, **measured.stages, "grain and batch": rest}
        print(json.dumps(found), flush=True)


def main() -> None:
    """Prints the table; writes all rounds as JSON where asked to."""
    args = parse()
    if importlib.util.find_spec("simplejpeg") is None:
        raise SystemExit("the decoder to compare with is missing: pip install simplejpeg")
    checkouts = {"this": ROOT} | ({"against": args.against} if args.against else {})
    workers = {name: started(path) for name, path in checkouts.items()}
    told = {name: answer(worker) for name, worker in workers.items()}
    first = told["this"]
    print(
        f"{first['images']} photos of {first['pixels'][0]:.0f} x {first['pixels'][1]:.0f} pixels "
        f"and {first['bytes'] / 1e3:.0f} kB on average, at {args.size} px"
    )
    rounds = {name: [] for name in workers}
    for _ in range(args.rounds):
        for name, worker in workers.items():
            worker.stdin.write("round\n")
            worker.stdin.flush()
            rounds[name].append(answer(worker))
    for worker in workers.values():
        worker.stdin.close()
        worker.wait()
    for name, found in rounds.items():
        show(name, found)
    if args.out:
        args.out.write_text(json.dumps({"photos": told, "rounds": rounds}, indent=2))


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The options; a worker process works and does not come back."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--photos", type=pathlib.Path, help="a folder of JPEGs")
    parser.add_argument("--data_dir", default="data")
    parser.add_argument("--dataset", help="a prepared set in --data_dir")
    parser.add_argument("--split", default="train")
    parser.add_argument("--images", type=int, default=256, help="at most so many")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=1.0, help="of a resize in a round")
    parser.add_argument("--against", type=pathlib.Path, help="another checkout of t2i_jax")
    parser.add_argument("--out", type=pathlib.Path, help="JSON with every round")
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.work:
        work(args)
        raise SystemExit
    return args


def started(checkout: pathlib.Path) -> subprocess.Popen:
    """A worker process with the t2i_jax of that checkout."""
    environment = {**os.environ, "PYTHONPATH": str(checkout.resolve())}
    command = [sys.executable, __file__, *sys.argv[1:], "--work"]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, env=environment, text=True)


def answer(worker: subprocess.Popen) -> dict:
    """The next line of a worker."""
    line = worker.stdout.readline()
    if not line:
        raise SystemExit("a worker process ended; its message is above")
    return json.loads(line)


def show(name: str, found: Sequence[Mapping]) -> None:
    """The rows of one checkout."""
    raw = [each["simplejpeg"]["image"] for each in found]
    print(f"{name}: simplejpeg {statistics.median(raw):.3f} ms an image")
    for resize in RESIZES:
        ours = [each[resize] for each in found]
        ratios = [r / each["image"] for r, each in zip(raw, ours, strict=True)]
        low, high = np.quantile(ratios, [0.25, 0.75])
        stages = ", ".join(
            f"{stage} {statistics.median([each[stage] for each in ours]):.3f}" for stage in ours[0]
        )
        print(f"  {resize:10} {statistics.median(ratios):.2f} ({low:.2f}-{high:.2f})  ms: {stages}")


if __name__ == "__main__":
    main()
