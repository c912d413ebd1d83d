"""Small tokenizers of the kinds that language models come with, trained on the titles of bundle-mini."""

from __future__ import annotations

from functools import cache
from typing import Any

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

from recbole_routedk.data.atomic import read_atomic
from recbole_routedk.data.prompts import label_texts
from recbole_routedk.registry import shipped_datasets

SPECIAL = ["<unk>", "<s>", "</s>"]
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
SPACES_BACK = decoders.Sequence(
    [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
)


@cache
def corpus() -> tuple[str, ...]:
    """Titles, and the letters of labels with a space before them."""
    train = read_atomic(shipped_datasets() / "bundle-mini", "bundle-mini").train
    titles = [item.title for labelled in train for item in labelled.session.items]
    labels = [f" {label}:" for label in label_texts()[:52]] + [" A; B; C D", " Bundles:", "\n"]
    return (*titles, *labels * 30)


def gpt2_like() -> PreTrainedTokenizerBase:
    """Byte-level BPE, as GPT-2 and most models since have it."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    return _trained(tokenizer, trainers.BpeTrainer(vocab_size=1200, special_tokens=SPECIAL, initial_alphabet=alphabet))


def gemma_like() -> PreTrainedTokenizerBase:
    """BPE on words that begin with a space, one of which is put before every text; bytes where a letter is unknown."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    return _with_bytes(tokenizer)


def llama2_like() -> PreTrainedTokenizerBase:
    """The same by a normaliser and without a split into words."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    return _with_bytes(tokenizer)


def unigram() -> PreTrainedTokenizerBase:
    """A unigram model that folds compatible characters and drops what it does not know."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    return _trained(tokenizer, trainers.UnigramTrainer(vocab_size=900, special_tokens=SPECIAL, unk_token="<unk>"))


def wordpiece() -> PreTrainedTokenizerBase:
    """BERT's: it has no line breaks."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="<unk>"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=False)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    return _trained(tokenizer, trainers.WordPieceTrainer(vocab_size=1200, special_tokens=SPECIAL))


def _with_bytes(tokenizer: Tokenizer) -> PreTrainedTokenizerBase:
    tokenizer.decoder = SPACES_BACK
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return _trained(tokenizer, trainers.BpeTrainer(vocab_size=1400, special_tokens=[*SPECIAL, *BYTES]))


def _trained(tokenizer: Tokenizer, trainer: Any) -> PreTrainedTokenizerBase:
    trainer.show_progress = False
    tokenizer.train_from_iterator(corpus(), trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="<unk>", bos_token="<s>", eos_token="</s>", pad_token="<unk>"
    )
