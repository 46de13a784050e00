"""The byte-level byte-pair encoding of CLIP (Radford et al., 2021, section 2.4), through the
`tokenizers` library.
"""

import tokenizers
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors

from t2i_jax import paths
from t2i_jax.data.text_files import parse_json
from t2i_jax.data.tokenizers.library import LibraryTokenizer, read

BEGIN, END = "<|startoftext|>", "<|endoftext|>"
FILE, VOCABULARY, MERGES = "tokenizer.json", "vocab.json", "merges.txt"
_WORD_END = "</w>"
# A word is letters, one digit, other signs, or what English contracts.
_WORDS = r"'s|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+"


class ClipTokenizer(LibraryTokenizer):
    """``<|startoftext|> pieces <|endoftext|>`` of text in lower case, cut to `length` ids (the last
    is then still the end), and padded with the end token.

    Raises ValueError for a model that does not put these two tokens around a text.
    """

    name = "clip"

    def __init__(self, model: tokenizers.Tokenizer, length: int = 77):
        end = model.token_to_id(END)
        super().__init__(model, length, end or 0, end)
        if end is None or model.encode("").ids != [model.token_to_id(BEGIN), end]:
            raise ValueError(f"not a tokenizer of CLIP's: it does not put {BEGIN} and {END} around")
        self.end = end
        # The library leaves the marks of words' ends in what it decodes.
        spaced = [decoders.ByteLevel(), decoders.Replace(_WORD_END, " ")]
        model.decoder = decoders.Sequence(spaced)

    @classmethod
    def from_file(cls, folder: str | paths.Path, length: int = 77) -> "ClipTokenizer":
        """From the folder of a ``tokenizer.json``, or of ``vocab.json`` and ``merges.txt``.

        Raises ValueError, with the file, where they are missing or something else.
        """
        place = paths.path(folder)
        file, vocabulary, merges = (place / name for name in (FILE, VOCABULARY, MERGES))
        if file.is_file():
            model = read(file)
        elif vocabulary.is_file() and merges.is_file():
            file, model = vocabulary, _clip(vocabulary, merges)
        else:
            raise ValueError(
                f"{place}: no tokenizer there; {FILE}, or {VOCABULARY} and {MERGES}, are needed"
            )
        try:
            return cls(model, length)
        except ValueError as error:
            raise ValueError(f"{file}: {error}") from error


def _clip(vocabulary: paths.Path, merges: paths.Path) -> tokenizers.Tokenizer:
    try:
        ids = parse_json(paths.read_bytes(vocabulary).decode("utf-8"))
        missing = [token for token in (BEGIN, END) if token not in ids]
    except (ValueError, TypeError) as error:
        raise ValueError(f"{vocabulary}: not readable as JSON: {error}") from error
    if missing:
        raise ValueError(f"{vocabulary}: not CLIP's vocabulary: it lacks {', '.join(missing)}")
    # Only "\n" ends a line: other ends may be pieces.
    lines = paths.read_bytes(merges).decode("utf-8").split("\n")
    pairs = [tuple(line.split()) for line in lines if line.strip()]
    pairs = pairs[1:] if pairs and pairs[0][0] == "#version:" else pairs
    try:
        pieces = models.BPE(ids, pairs, unk_token=END, end_of_word_suffix=_WORD_END)
    except Exception as error:  # the library raises bare Exception, and TypeError
        raise ValueError(f"{merges}: not the merges of {vocabulary.name}: {error}") from error
    model = tokenizers.Tokenizer(pieces)
    spaces = normalizers.Replace(tokenizers.Regex(r"\s+"), " ")
    model.normalizer = normalizers.Sequence([normalizers.NFC(), spaces, normalizers.Lowercase()])
    words = pre_tokenizers.Split(tokenizers.Regex(_WORDS), "removed", invert=True)
    bytes_of = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    model.pre_tokenizer = pre_tokenizers.Sequence([words, bytes_of])
    model.post_processor = processors.TemplateProcessing(
        single=f"{BEGIN} $A {END}", special_tokens=[(token, ids[token]) for token in (BEGIN, END)]
    )
    model.add_special_tokens([BEGIN, END])  # left out when decoding
    return model
