"""What the files of a model may say, by file: keys that are known to do nothing but describe a model that reads text.

Left out is whatever names code, files or repositories, and how weights are read: that is `ingest.models.loading`'s own.
"""

from __future__ import annotations

from collections.abc import Mapping

from ingest.models.folder.setting_checks import (
    Check,
    activation,
    count,
    named_texts,
    number,
    one_of,
    pooling,
    switch,
    text,
    texts,
    tokenizer_class,
    within,
)

# Architectures of transformers that read text. Others fetch a backbone, or read images.
TEXT_MODELS = frozenset(
    {
        "albert", "bart", "bert", "bert-generation", "big_bird", "camembert", "canine", "convbert", "data2vec-text",
        "deberta", "deberta-v2", "distilbert", "electra", "embedding_gemma2", "embedding_gemma2_text", "ernie",
        "eurobert", "fnet", "funnel", "gemma", "gemma2", "gemma3_text", "gpt2", "gte", "ibert", "jina_embeddings_v3",
        "llama", "longformer", "longt5", "luke", "mbart", "megatron-bert", "mistral", "mobilebert", "modernbert",
        "modernbert-decoder", "mpnet", "mra", "mt5", "nomic_bert", "nystromformer", "olmo", "olmo2", "olmo3", "opt",
        "phi", "phi3", "qwen2", "qwen3", "rembert", "roberta", "roberta-prelayernorm", "roc_bert", "roformer",
        "smollm3", "splinter", "squeezebert", "t5", "t5gemma", "umt5", "xlm", "xlm-roberta", "xlm-roberta-xl",
        "xlnet", "xmod", "yoso",
    }
)  # fmt: skip
# At whatever depth of a configuration: what names code or other weights, or says how weights are read.
CODE_KEYS = frozenset(
    {
        "adapter_kwargs", "auto_map", "backbone", "backbone_config", "backbone_kwargs", "code_revision",
        "compression_config", "custom_generate", "custom_pipelines", "feature_extractor_type", "gguf_file",
        "image_processor_type", "kernel_config", "peft_config", "processor_class", "quantization_config",
        "transformers_weights", "trust_remote_code", "use_kernels", "use_pretrained_backbone", "use_safetensors",
        "use_timm_backbone", "video_processor_type", "weights_only",
    }
)  # fmt: skip
_attention = one_of({"eager", "sdpa", "flash_attention_2", "flash_attention_3", "flex_attention"})
_dtype = one_of({"auto", "float32", "float16", "bfloat16"})
_experts = one_of({"eager", "batched_mm", "grouped_mm"})
_output = one_of({"token_embeddings", "sentence_embedding", "scores", "causal_logits"})
_side = one_of({"left", "right"})

# Of config.json, at whatever depth. A name with a slash would be that of a repository whose code is fetched.
ANYWHERE: Mapping[str, Check] = {
    "attn_implementation": _attention,
    "_attn_implementation": _attention,
    "_attn_implementation_internal": _attention,
    "experts_implementation": _experts,
    "_experts_implementation": _experts,
    "dtype": _dtype,
    "torch_dtype": _dtype,
    "activation_fn": activation,
    "sbert_ce_default_activation_function": activation,
    "_name_or_path": text,
    "name_or_path": text,
    "tokenizer_class": tokenizer_class,
    "pad_token_id": count,
}
# And where a loader or we ourselves count by them.
SIZES = ("hidden_size", "d_model", "dim", "max_position_embeddings", "vocab_size", "type_vocab_size")
# The most of what a key with such a word in it says. Of the first ones a loader makes one after another.
LIMITS = {"layer": 512, "group": 512, "expert": 512, "block": 4096, "hash_function": 64, "position": 2**20}
LARGEST = 2**31 - 1

_model_arguments = within(
    {
        "attn_implementation": _attention,
        "dtype": _dtype,
        "torch_dtype": _dtype,
        "add_pooling_layer": switch,
    }
)
_tokenizer_arguments = within(
    {"model_max_length": count, "padding_side": _side, "truncation_side": _side, "use_fast": switch}
)
_modality = within(
    {
        "method": one_of({"forward"}),
        "method_output_name": one_of({"last_hidden_state", "logits", "pooler_output"}),
        "format": one_of({"structured", "flat"}),
    }
)
_expansion = within({"strategy": one_of({"fixed", "min"}), "attend": switch, "length": count, "token": text})
# sentence_bert_config.json and its like.
READING: Mapping[str, Check] = {
    "max_seq_length": count,
    "do_lower_case": switch,
    "transformer_task": one_of({"feature-extraction", "sequence-classification", "text-generation"}),
    "modality_config": within({"text": _modality}),
    "module_output_name": _output,
    "processing_kwargs": within({}),
    "unpad_inputs": switch,
    "query_length": count,
    "document_length": count,
    "query_expansion": _expansion,
    "model_args": _model_arguments,
    "model_kwargs": _model_arguments,
    "tokenizer_args": _tokenizer_arguments,
    "processor_kwargs": _tokenizer_arguments,
    "config_args": within({"use_cache": switch}),
    "config_kwargs": within({"use_cache": switch}),
}
# config_sentence_transformers.json, which may say more.
PROMPTS: Mapping[str, Check] = {
    "prompts": named_texts,
    "__version__": named_texts,
    "default_prompt_name": text,
    "query_prefix": text,
    "document_prefix": text,
    "model_type": text,
    "similarity_fn_name": text,
    "query_length": count,
    "document_length": count,
    "query_expansion": _expansion,
    "do_query_expansion": switch,
    "attend_to_expansion_tokens": switch,
    "truncate_dim": count,
    "skiplist_words": texts,
    "activation_fn": activation,
}
# artifact.metadata of ColBERT's authors, which says much more.
RECIPE: Mapping[str, Check] = {
    "query_maxlen": count,
    "doc_maxlen": count,
    "query_token_id": text,
    "doc_token_id": text,
    "mask_punctuation": switch,
    "attend_to_mask_tokens": switch,
}
POOLING: Mapping[str, Check] = {
    "embedding_dimension": count,
    "word_embedding_dimension": count,
    "pooling_mode": pooling,
    "include_prompt": switch,
    "pooling_mode_cls_token": switch,
    "pooling_mode_max_tokens": switch,
    "pooling_mode_mean_tokens": switch,
    "pooling_mode_mean_sqrt_len_tokens": switch,
    "pooling_mode_weightedmean_tokens": switch,
    "pooling_mode_lasttoken": switch,
}
DENSE: Mapping[str, Check] = {
    "in_features": count,
    "out_features": count,
    "bias": switch,
    "activation_function": activation,
    "module_input_name": _output,
    "module_output_name": _output,
    "use_residual": switch,
}
NORMALIZE: Mapping[str, Check] = {"module_input_name": _output, "module_output_name": _output}
# Which vectors of a ColBERT are compared.
TOKEN_MASK: Mapping[str, Check] = {
    "skiplist_words": texts,
    "skiplist_tasks": texts,
    "keep_only_token_ids": one_of(()),  # of images
}
LAYER_NORM: Mapping[str, Check] = {"dimension": count}
DROPOUT: Mapping[str, Check] = {"dropout": number}
LOGIT: Mapping[str, Check] = {"true_token_id": count, "false_token_id": count, "module_input_name": _output}
# Of the head that a training puts on a model.
HEAD: Mapping[str, Check] = {
    "width": count,
    "hidden": count,
    "separator": count,
    "scale": number,
    "interaction": number,
}
