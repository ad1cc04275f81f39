"""Writes text/tokenizers.json: components and small tokenizers, and what Hugging Face's tokenizers makes of texts.

    pip install tokenizers==0.23.3 sentencepiece
    python make_tokenizers.py
"""

import base64
import io
import json
import random
from pathlib import Path

import sentencepiece
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

HERE = Path(__file__).parent / "text"

TEXTS = [
    "",
    " ",
    "Hello, world! It's 2024: we'll pay $3.50 (or 10%).",
    "  two  spaces \n\n\n new\r\nlines\t\ttabs \v\f end  ",
    "x ½ x² ٣٤ Ⅷ 一二 1234567 1a2b",
    "a \ufeffb\ufeff c",
    "naïve café Ångström e\u0301 A\u030a ﬁ ｆｕｌｌ",
    "😀 👩‍👩‍👧‍👦 🇩🇪 ❤️ 🏳️‍🌈",
    "日本語とカタカナー、漢字。中文 한국어",
    "שלום עולם مرحبا بالعالم",
    "a\u0000b\u0001\u007f\u0085\u00a0\u00ad\u200b\u200d\u2028\u2029\u3000z",
    "ΑΣ ΟΔΟΣ ὈΔΥΣΣΕΎΣ İstanbul ẞ ſ K",
    "don't DON'T 'S 'ſ can't've o'clock",
    "snake_case camelCase kebab-case a.b.c http://x.y/z?q=1&r=2#t",
    "_under_ __dunder__ ‿tie‿ a\u0301b",
    "<s>words</s> <mask> <mask>, [SEP]x[SEP] swords <sword>sword sword\n<pad>",
    "▁under ▁▁two the▁end",
    "�replacement� \ufffe",
    "for (i = 0; i < n; i++) {\n    a[i] += 'x';\n\n}\n",
    "abababab aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "the cats sat on the mat; theother then",
    "\r\n \r\n",
    "tail space ",
    "۞ ۩ ₿ ™ © ± × ÷ § ¶ … — “quotes” ‘single’ «guille»",
    "ก็ดี नमस्ते বাংলা",
]

WORDS = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"
LLAMA3 = "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
O200K = (
    "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
    "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
    "\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
)

PATTERNS = [
    WORDS,
    LLAMA3,
    O200K,
    "[0-9][0-9][0-9]",
    "\\d{1,3}(?=(?:\\d{3})*\\b)",
    "\\p{N}{1,3}",
    "[\\p{Han}]+|[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}&&[^\\p{Han}]]+|\\s+",
    "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
    "[一-龥\u3040-ゟ゠-ヿ]+",
    " ?[^(\\s|[.,!?…。，、।۔،])]+",
    "\\s?[A-Za-zµÀ-ÖØ-öø-ƺ]+",
    "\\w+|[^\\w\\s]+",
    "(?<=\\s)\\S|(?<!\\w)\\d",
    "\\b\\w",
    "\\B.",
    "^.|.$",
    "\\A.|.\\z|.\\Z",
    "a+?|b*?c|(?:ab)+",
    "(?:ab|a)(?:b|)",
    "(?>a+)b|a",
    "a++|x?+y",
    "[[:alpha:]]+|[[:^space:][:digit:]]",
    "[[:punct:]]|[[:upper:]]|[\\h]",
    "(?i)the|HELLO|ß|k",
    "(?i:[a-f]+)x?",
    "(?<name>th)(e)",
    "[^a-z&&[^aeiou]]+",
    "[a-c[x-z]]+|[]a]|[\\]\\-]",
    "\\x41|\\u00e9|\\x{1F600}|\\t",
    "\\R|\\h+",
    "(?m:.)x|.",
    "\\p{Script=Greek}+|\\p{Hebrew}|\\p{^L}",
    "x*",
    "|a",
    "(?=t)|c",
    "\\s+(?=\\p{N})|\\p{N}",
    "(?<![0-9])(?=[0-9])",
    "(?!\\S)\\s|[\\p{L}--x]",
]

NORMALIZERS = [
    {"type": "NFC"},
    {"type": "NFD"},
    {"type": "NFKC"},
    {"type": "NFKD"},
    {"type": "Lowercase"},
    {"type": "StripAccents"},
    {"type": "Sequence", "normalizers": [{"type": "NFD"}, {"type": "StripAccents"}, {"type": "Lowercase"}]},
    {"type": "Strip", "strip_left": True, "strip_right": True},
    {"type": "Strip", "strip_left": False, "strip_right": True},
    {"type": "Strip", "strip_left": True, "strip_right": False},
    {"type": "Prepend", "prepend": "▁"},
    {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
    {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": "$1▁"},
    {"type": "Replace", "pattern": {"Regex": "(?<=a)|b"}, "content": "-"},
    {"type": "Nmt"},
    {"type": "ByteLevel"},
    {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None, "lowercase": True},
    {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None, "lowercase": False},
    {"type": "BertNormalizer", "clean_text": False, "handle_chinese_chars": False, "strip_accents": False, "lowercase": True},
    {"type": "BertNormalizer", "clean_text": False, "handle_chinese_chars": False, "strip_accents": True, "lowercase": False},
]

BEHAVIORS = ["Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"]
PRE_TOKENIZERS = [
    {"type": "BertPreTokenizer"},
    {"type": "Whitespace"},
    {"type": "WhitespaceSplit"},
    {"type": "CharDelimiterSplit", "delimiter": "a"},
    {"type": "FixedLength", "length": 3},
    *({"type": "ByteLevel", "add_prefix_space": p, "trim_offsets": True, "use_regex": r} for p in (True, False) for r in (True, False)),
    *({"type": "Digits", "individual_digits": i} for i in (True, False)),
    *({"type": "Punctuation", "behavior": b} for b in BEHAVIORS),
    *({"type": "Metaspace", "replacement": "▁", "prepend_scheme": p, "split": s} for p in ("always", "first", "never") for s in (True, False)),
    *({"type": "Split", "pattern": {"Regex": "\\s+|the"}, "behavior": b, "invert": i} for b in BEHAVIORS for i in (True, False)),
    *({"type": "Split", "pattern": {"String": " "}, "behavior": b, "invert": i} for b in BEHAVIORS for i in (True, False)),
    {
        "type": "Sequence",
        "pretokenizers": [
            {"type": "Digits", "individual_digits": True},
            {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
        ],
    },
    {
        "type": "Sequence",
        "pretokenizers": [
            {"type": "Split", "pattern": {"Regex": "\\p{N}{1,3}"}, "behavior": "Isolated", "invert": False},
            {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": True},
        ],
    },
    {
        "type": "Sequence",
        "pretokenizers": [
            {"type": "WhitespaceSplit"},
            {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        ],
    },
]

TOKENS = [
    [],
    ["▁Hello", "▁▁world", "▁"],
    ["▁", "▁a"],
    [" a", " ", "b "],
    ["a", "##b", "c", "##d", ",", "##.", "n't", "do", "not", "'", "s"],
    ["ab</w>", "c", "d</w>"],
    ["<0xEF>", "<0xBB>", "<0xBF>", "class"],
    ["▁x", "<0xE2>", "<0x82>", "<0xAC>", "y", "<0x0A>", "<0xf0>"[:5], "<0x41>"],
    ["Ġthe", "Ċ", "ï»¿", "Ã©", "<|x|>", "né"],
    ["aaXaa", "a", "aXa"],
    ["ðŁĺĢ", "Ġ", "<s>"],
]
LLAMA_DECODER = {
    "type": "Sequence",
    "decoders": [
        {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
        {"type": "ByteFallback"},
        {"type": "Fuse"},
        {"type": "Strip", "content": " ", "start": 1, "stop": 0},
    ],
}
DECODERS = [
    None,
    {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
    {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always"},
    {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": False},
    {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "never"},
    {"type": "WordPiece", "prefix": "##", "cleanup": True},
    {"type": "WordPiece", "prefix": "##", "cleanup": False},
    {"type": "BPEDecoder", "suffix": "</w>"},
    {"type": "Fuse"},
    {"type": "Strip", "content": "a", "start": 2, "stop": 0},
    {"type": "Strip", "content": "a", "start": 0, "stop": 1},
    {"type": "Replace", "pattern": {"Regex": "[▁a]+"}, "content": "-"},
    LLAMA_DECODER,
]

CORPUS = [t for t in TEXTS if len(t) > 10] * 2


def empty(**parts):
    json_ = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [],
        "normalizer": None,
        "pre_tokenizer": None,
        "post_processor": None,
        "decoder": None,
        "model": {"type": "WordLevel", "vocab": {"x": 0}, "unk_token": "x"},
    }
    return Tokenizer.from_str(json.dumps({**json_, **parts}))


def decoded(decoder, tokens):
    if decoder is None:
        return " ".join(tokens)
    return empty(decoder=decoder).decoder.decode(tokens)


def added(id_, content, **flags):
    return {"id": id_, "content": content, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True, **flags}


def with_added(tokenizer: dict, *tokens):
    """Adds tokens behind the vocabulary."""
    vocab = tokenizer["model"]["vocab"]
    start = len(vocab)
    tokenizer["added_tokens"] = [added(start + i, content, **flags) for i, (content, flags) in enumerate(tokens)]
    return tokenizer


def trained(model, trainer, **parts):
    tokenizer = Tokenizer(model)
    for name, part in parts.items():
        setattr(tokenizer, name, part)
    tokenizer.train_from_iterator(CORPUS, trainer)
    json_ = json.loads(tokenizer.to_str())
    if isinstance(json_["model"]["vocab"], dict):
        json_["model"]["vocab"] = dict(sorted(json_["model"]["vocab"].items(), key=lambda item: item[1]))
    return json_


def small_charsmap():
    """A map of characters by SentencePiece, with rules of every length."""
    rules = [("a", "4"), ("a\u0301", "A'"), ("ﬁ", "fi"), ("ｆ", "f"), ("\u00a0", " "), ("\u200d", ""), ("e\u0301", "é"), ("½", "1/2"), ("カ", "か"), ("İ", "i")]
    path = Path("/tmp/rules.tsv")
    path.write_text("".join("{}\t{}\n".format(*(" ".join(f"{ord(c):X}" for c in side) for side in rule)) for rule in rules))
    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["hello world", "the cat"] * 20), model_writer=out, vocab_size=20, hard_vocab_limit=False,
        normalization_rule_tsv=str(path), minloglevel=2,
    )
    proto = out.getvalue()
    from sentencepiece import sentencepiece_model_pb2

    model = sentencepiece_model_pb2.ModelProto()
    model.ParseFromString(proto)
    return base64.b64encode(model.normalizer_spec.precompiled_charsmap).decode()


def tokenizers_():
    bytes_ = [f"<0x{b:02X}>" for b in range(256)]
    flags = [("<s>", {}), ("</s>", {}), ("<mask>", {"lstrip": True}), ("[SEP]", {"rstrip": True}), ("words", {"single_word": True, "special": False})]

    byte_level = trained(
        models.BPE(),
        trainers.BpeTrainer(vocab_size=330, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), show_progress=False),
        pre_tokenizer=pre_tokenizers.ByteLevel(add_prefix_space=False),
        decoder=decoders.ByteLevel(),
    )
    byte_level["post_processor"] = json.loads(empty().to_str())["post_processor"]
    yield "byte-level BPE", with_added(byte_level, *flags)

    llama3 = json.loads(json.dumps(byte_level))
    llama3["pre_tokenizer"] = {
        "type": "Sequence",
        "pretokenizers": [
            {"type": "Split", "pattern": {"Regex": LLAMA3}, "behavior": "Isolated", "invert": False},
            {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False},
        ],
    }
    llama3["model"]["ignore_merges"] = True
    llama3["model"]["vocab"]["Ġmats"] = len(llama3["model"]["vocab"])
    with_added(llama3, *flags)
    start = llama3["added_tokens"][0]["id"]
    llama3["post_processor"] = {
        "type": "Sequence",
        "processors": [
            {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": False, "use_regex": True},
            {
                "type": "TemplateProcessing",
                "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "</s>", "type_id": 0}}],
                "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}],
                "special_tokens": {
                    "<s>": {"id": "<s>", "ids": [start], "tokens": ["<s>"]},
                    "</s>": {"id": "</s>", "ids": [start + 1], "tokens": ["</s>"]},
                },
            },
        ],
    }
    yield "Llama-3 BPE, merges ignored", llama3

    llama2 = trained(
        models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True),
        trainers.BpeTrainer(vocab_size=200, limit_alphabet=60, special_tokens=["<unk>"], show_progress=False),
        normalizer=normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]),
    )
    vocab = llama2["model"]["vocab"]
    for token in bytes_:
        vocab[token] = len(vocab)
    llama2["decoder"] = LLAMA_DECODER
    yield "Llama-2 BPE, bytes for what is unknown", with_added(llama2, ("<s>", {}), ("</s>", {}), ("<pad>", {"special": False, "normalized": True}), ("swords", {"special": False, "normalized": True}))

    partial = json.loads(json.dumps(llama2))
    for token in bytes_[0x60:]:
        del partial["model"]["vocab"][token]
    partial["model"]["vocab"] = {token: i for i, token in enumerate(partial["model"]["vocab"])}
    yield "BPE with some bytes, unknown fused", with_added(partial)
    apart = json.loads(json.dumps(partial))
    apart["model"]["fuse_unk"] = False
    apart["pre_tokenizer"] = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": True}
    apart["normalizer"] = None
    yield "BPE with some bytes, unknown apart", with_added(apart, ("<s>", {}))
    silent = json.loads(json.dumps(apart))
    silent["model"].update(unk_token=None, byte_fallback=False)
    yield "BPE without a token for what is unknown", with_added(silent)

    clip = trained(
        models.BPE(unk_token="<unk>", end_of_word_suffix="</w>"),
        trainers.BpeTrainer(vocab_size=260, end_of_word_suffix="</w>", special_tokens=["<unk>"], show_progress=False),
        normalizer=normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()]),
        pre_tokenizer=pre_tokenizers.Whitespace(),
        decoder=decoders.BPEDecoder("</w>"),
    )
    yield "BPE with ends of words", with_added(clip, ("<s>", {}), ("SWORD", {"special": False, "normalized": True}))

    continued = trained(
        models.BPE(unk_token="<unk>", continuing_subword_prefix="##"),
        trainers.BpeTrainer(vocab_size=260, continuing_subword_prefix="##", special_tokens=["<unk>"], show_progress=False),
        pre_tokenizer=pre_tokenizers.BertPreTokenizer(),
        decoder=decoders.WordPiece(),
    )
    yield "BPE with continued words", with_added(continued)

    bert = trained(
        models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=20),
        trainers.WordPieceTrainer(vocab_size=220, special_tokens=["[UNK]", "[CLS]", "[SEP]", "[MASK]"], show_progress=False),
        normalizer=normalizers.BertNormalizer(),
        pre_tokenizer=pre_tokenizers.BertPreTokenizer(),
        decoder=decoders.WordPiece(),
        post_processor=processors.BertProcessing(("[SEP]", 2), ("[CLS]", 1)),
    )
    yield "WordPiece", bert

    words = trained(
        models.WordLevel(unk_token="[UNK]"),
        trainers.WordLevelTrainer(vocab_size=100, special_tokens=["[UNK]"], show_progress=False),
        pre_tokenizer=pre_tokenizers.Whitespace(),
        post_processor=processors.RobertaProcessing(("b", 5), ("a", 4)),
    )
    yield "WordLevel", words

    t5 = trained(
        models.Unigram(),
        trainers.UnigramTrainer(vocab_size=420, special_tokens=["<pad>", "</s>", "<unk>"], unk_token="<unk>", show_progress=False),
        normalizer=normalizers.Sequence([normalizers.Nmt(), normalizers.NFKC(), normalizers.Replace(__import__("tokenizers").Regex(" {2,}"), " ")]),
        pre_tokenizer=pre_tokenizers.Metaspace(),
        decoder=decoders.Metaspace(),
    )
    # Only some characters have a token of their own.
    t5["model"]["vocab"] = [[t, round(s, 4)] for i, (t, s) in enumerate(t5["model"]["vocab"]) if i < 60 or i % 3 or len(t) > 1]
    yield "Unigram", t5
    fallback = json.loads(json.dumps(t5))
    fallback["model"]["byte_fallback"] = True
    fallback["model"]["vocab"] += [[token, -20 - i / 100] for i, token in enumerate(bytes_)]
    fallback["normalizer"] = None
    fallback["pre_tokenizer"] = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": False}
    fallback["decoder"] = LLAMA_DECODER
    yield "Unigram with bytes", fallback


def decoded_(tokenizer: Tokenizer, ids, skip):
    """None for what is different on purpose: tokens that were normalized, and bytes that are no text."""
    tokens = [tokenizer.id_to_token(id_) for id_ in ids]
    added_ = {token["id"]: token["content"] for token in json.loads(tokenizer.to_str())["added_tokens"]}
    if any(id_ in added_ and token != added_[id_] for id_, token in zip(ids, tokens)):
        return None
    run = b""
    for token in [*tokens, ""]:
        if token.startswith("<0x"):
            run += bytes([int(token[3:5], 16)])
            continue
        if run != run.decode("utf-8", "ignore").encode():
            return None
        run = b""
    return tokenizer.decode(ids, skip_special_tokens=skip)


def cases(tokenizer: Tokenizer, size: int, rng: random.Random):
    encoded = [tokenizer.encode(text).ids for text in TEXTS]
    plain = [tokenizer.encode(text, add_special_tokens=False).ids for text in TEXTS]
    written = [[rng.randrange(size) for _ in range(rng.randrange(9))] for _ in range(30)]
    decoded = [[decoded_(tokenizer, ids, skip) for skip in (True, False)] for ids in [*plain, *written]]
    return {
        "encoded": encoded if encoded != plain else None,
        "plain": plain,
        "written": written,
        "decoded": [[a, b] if a != b else a for a, b in decoded],
    }


def attempt(action):
    try:
        return action()
    except Exception:
        return None


def pieces(pre_tokenizer):
    tokenizer = attempt(lambda: empty(pre_tokenizer=pre_tokenizer))
    if tokenizer is None:
        return None
    return [[piece for piece, _ in tokenizer.pre_tokenizer.pre_tokenize_str(text)] for text in TEXTS]


def main():
    rng = random.Random(7)
    charsmap = {"type": "Precompiled", "precompiled_charsmap": small_charsmap()}
    whole = []
    for name, json_ in tokenizers_():
        tokenizer = Tokenizer.from_str(json.dumps(json_))
        whole.append({"name": name, "json": json_, **cases(tokenizer, tokenizer.get_vocab_size(), rng)})
    result = {
        "texts": TEXTS,
        "normalizers": [[n, [empty(normalizer=n).normalizer.normalize_str(text) for text in TEXTS]] for n in [*NORMALIZERS, charsmap]],
        "patterns": [[p, pieces({"type": "Split", "pattern": {"Regex": p}, "behavior": "Isolated", "invert": False})] for p in PATTERNS],
        "preTokenizers": [[p, pieces(p)] for p in PRE_TOKENIZERS],
        "tokens": TOKENS,
        "decoders": [[d, [decoded(d, tokens) for tokens in TOKENS]] for d in DECODERS],
        "tokenizers": whole,
    }
    text = json.dumps(result, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
    HERE.joinpath("tokenizers.json").write_bytes(text + b"\n")
    print(len(text), "bytes;", {k: len(v) for k, v in result.items()}, {k: len(json.dumps(v)) for k, v in result.items()})
    print([p for p, r in result["patterns"] if r is None])


if __name__ == "__main__":
    main()
