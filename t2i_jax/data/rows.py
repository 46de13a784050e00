"""One row of a batch: a record read, its image decoded and augmented, its captions drawn."""

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from t2i_jax import types
from t2i_jax.data import captions as caption_rules
from t2i_jax.data import record_order, swapped_colours
from t2i_jax.data.options import DataOptions
from t2i_jax.data.record_order import Sampling
from t2i_jax.data.tokenizers import Tokenizer, WordTokenizer

Row = dict[str, np.ndarray]
_WRONG = {
    types.TOKENS: types.WRONG_TOKENS,
    types.MASK: types.WRONG_MASK,
    types.SENTENCE: types.WRONG_SENTENCE,
}


class RandomAccessSource(Protocol):
    """What `catalog.open_split` returns: records as dicts of the prepared sets' schema."""

    labels: np.ndarray  # int [N], -1 for no class

    def __len__(self) -> int: ...

    def __getitem__(self, record: int) -> Mapping[str, Any]: ...


class RowMaker:
    """Makes the row at a position of the global stream, given the generator of that position.

    A function of its arguments alone, so rows may be made in any order, thread or process. Pickles
    to little: a memory-mapped `sentences` travels as its file's name.
    """

    def __init__(
        self,
        source: RandomAccessSource,
        sampling: Sampling,
        options: DataOptions,
        tokenizer: Tokenizer | None,
        sentences: np.ndarray | None,
    ):
        _check_text(options, tokenizer, sentences, len(source))
        self._source = source
        self._sampling = sampling
        self._options = options
        self._tokenizer = tokenizer
        self._sentences = sentences
        self._transform = options.image_transform
        self._classes = record_order.identities(source.labels)

    @property
    def image_shapes(self) -> dict[str, tuple[int, int, int]]:
        """Of the images of a row, by key."""
        shape = (self._options.size, self._options.size, 3)
        wrong = {types.WRONG_IMAGES: shape} if self._options.mismatch == "image" else {}
        return {types.IMAGES: shape, **wrong}

    def __call__(
        self, position: int, rng: np.random.Generator, images: Mapping[str, np.ndarray]
    ) -> Row:
        """The row without its images, which are written into `images`: uint8 of `image_shapes`.

        Raises ValueError, naming the record and its file, where it cannot be made.
        """
        o = self._options
        index, other = self._sampling.draw(position, rng)
        record = self._source[index]
        self._image(record, rng, images[types.IMAGES])
        row = {types.LABEL: self._classes[index], types.INDEX: np.int32(index)}
        if o.attributes:
            row[types.ATTRIBUTES] = self._attributes(record)
        if o.captions:
            chosen = self._chosen(record, index, rng)
            row |= self._text(chosen, rng)
        if o.mismatch == "image":
            self._image(self._source[other], rng, images[types.WRONG_IMAGES])
        elif o.mismatch:  # the other image's bytes are read, but never decoded
            wrong = self._text(self._chosen(self._source[other], other, rng), rng)
            if o.mismatch == "swapped":
                wrong = self._swapped(chosen, row, wrong, rng)
            row |= {_WRONG[key]: value for key, value in wrong.items()}
        return row

    def _image(self, record: Mapping[str, Any], rng: np.random.Generator, out: np.ndarray) -> None:
        try:
            self._transform(record["image"], record.get("bbox"), rng, out)
        except ValueError as error:
            raise ValueError(
                f"{self._where(record)}: {error}; prepare the set again, it reports such files"
            ) from error

    def _attributes(self, record: Mapping[str, Any]) -> np.ndarray:
        known = record.get("attributes", {})
        if missing := [name for name in self._options.attributes if name not in known]:
            raise ValueError(
                f"{self._where(record)}: the record has no attribute {', '.join(missing)}; it has: "
                f"{', '.join(known) or 'none'} (data.attributes)"
            )
        return np.array([known[name] for name in self._options.attributes], np.int32)

    def _chosen(
        self, record: Mapping[str, Any], index: int, rng: np.random.Generator
    ) -> list[str] | np.ndarray:
        """K captions of the record, or the vectors that stand for them."""
        o, texts = self._options, record["captions"]
        if self._sentences is not None:
            vectors = self._sentences[index]
            count = min(len(texts), len(vectors))
        elif o.text == "embeddings":
            vectors = record.get("embeddings")
            count = 0 if vectors is None else len(vectors)
        else:
            vectors, count = None, len(texts)
        if count == 0:
            if o.text == "embeddings":
                lack = "embeddings; set data.text='tokens' to read its captions"
            else:
                lack = "captions; set data.captions=0 to train without text"
            raise ValueError(f"{self._where(record)}: the record has no {lack}")
        chosen = caption_rules.choose(count, o.captions, o.replace, rng)
        if vectors is not None:
            return np.asarray(vectors)[chosen]
        texts = [texts[i] for i in chosen]
        if o.truncate == "sentences":
            texts = [caption_rules.sentence_window(t, self._tokenizer, rng) for t in texts]
        return texts

    def _text(self, chosen: list[str] | np.ndarray, rng: np.random.Generator) -> Row:
        if isinstance(chosen, np.ndarray):
            return {types.SENTENCE: np.mean(chosen, axis=0, dtype=np.float32)}
        extra = (rng,) if self._options.truncate == "thin" else ()
        tokens, mask = self._tokenizer.encode(chosen, *extra)
        return {types.TOKENS: tokens, types.MASK: mask}

    def _swapped(self, texts: list[str], row: Row, wrong: Row, rng: np.random.Generator) -> Row:
        """The captions of `row` with colours in the wrong places; those of `wrong` where the
        encoder would see no difference: without colours, or with colours that are cut off.
        """
        swapped = self._text([swapped_colours.swapped(text, rng) for text in texts], rng)
        same = (swapped[types.TOKENS] == row[types.TOKENS]).all(axis=1, keepdims=True)
        return {key: np.where(same, wrong[key], swapped[key]) for key in wrong}

    def _where(self, record: Mapping[str, Any]) -> str:
        return (
            f"{self._options.title}, record {record.get('image/id', '?')!r} "
            f"(file {record.get('image/filename', '?')!r})"
        )

    def __getstate__(self):
        state = dict(self.__dict__)
        x = self._sentences
        if isinstance(x, np.memmap) and x.base is not None and not isinstance(x.base, np.ndarray):
            state["_sentences"] = _Mapped(str(x.filename), x.dtype, x.offset, x.shape)
        return state

    def __setstate__(self, state):
        mapped = state["_sentences"]
        if isinstance(mapped, _Mapped):
            state["_sentences"] = mapped.open()
        self.__dict__.update(state)


class _Mapped:
    """A whole memory-mapped array, by file: pickling the array itself would copy all of it."""

    def __init__(self, path: str, dtype: np.dtype, offset: int, shape: tuple[int, ...]):
        self._args = path, dtype, "r", offset, shape

    def open(self) -> np.memmap:
        return np.memmap(*self._args)


def _check_text(options: DataOptions, tokenizer, sentences, records: int) -> None:
    o = options
    if not o.captions:
        return
    if sentences is not None:
        if np.ndim(sentences) != 3 or len(sentences) != records:
            raise ValueError(
                f"sentences have shape {np.shape(sentences)}; {o.title} has {records} records "
                "and needs [records, captions, E]"
            )
        _check_whole(o, "sentence vectors computed beforehand", "turn encoder.cache off")
        if o.mismatch == "swapped":
            raise ValueError("data.mismatch='swapped' changes captions: turn encoder.cache off")
    elif o.text == "embeddings":
        _check_whole(o, "the stored sentence vectors", "set data.text='tokens'")
    elif tokenizer is None:
        raise ValueError("data.text='tokens' needs a tokenizer (or data.captions=0: no text)")
    elif o.truncate == "thin" and not isinstance(tokenizer, WordTokenizer):
        raise ValueError("data.truncate='thin' thins words: it needs the word tokenizer")


def _check_whole(options: DataOptions, vectors: str, remedy: str) -> None:
    """Refuses random parts of captions where `vectors` stand for whole ones."""
    if options.truncate != "head":
        raise ValueError(
            f"data.truncate={options.truncate!r} takes a random part of each caption, but "
            f"{vectors} stand for whole captions; set data.truncate='head' or {remedy}"
        )
