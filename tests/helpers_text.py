"""Tiny transformers of random weights, as Hugging Face keeps them."""

import torch

WORDS = ["crystal", "structure", "of", "garnet", "the", "a", "and", "halite", "quartz", "refinement"]
WORDS += ["study", "oxide", "under", "high", "pressure"]
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
SIZES = {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 32}


def word_tokenizer(words=(*SPECIAL, *WORDS)):
    """One token per word, between [CLS] and [SEP]."""
    import transformers
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    tokenizer = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    ends = [(name, list(words).index(name)) for name in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ends)
    names = {f"{w.strip('[]').lower()}_token": w for w in SPECIAL if w in words}
    return transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names)


def write_model(folder, kind="Bert", seed=0, words=(*SPECIAL, *WORDS), part="Model", **options):
    """Tokeniser and model of an architecture; ``part`` is such as ``Model`` or ``ForMaskedLM``."""
    import transformers

    folder.mkdir(parents=True, exist_ok=True)
    word_tokenizer(words).save_pretrained(folder)
    sizes = {**SIZES, "max_position_embeddings": 24, "vocab_size": len(words), **options}
    config = getattr(transformers, f"{kind}Config")(**sizes)
    torch.manual_seed(seed)
    getattr(transformers, f"{kind}{part}")(config).save_pretrained(folder)
    return folder
