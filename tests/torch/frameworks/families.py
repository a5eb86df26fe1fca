"""Tiny models of whole families, with every dropout that their options offer, and inputs for them.

Each function takes a loader of libraries and returns a model, the arguments of its forward, and a function
from its result to a loss.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import ModuleType
from typing import Any, TypeAlias

import torch
from torch import nn

Load: TypeAlias = Callable[[str], ModuleType]
Made: TypeAlias = tuple[nn.Module, dict[str, Any], Callable[[Any], torch.Tensor]]

# timm


def _images(model: nn.Module, size: int = 32) -> Made:
    x, y = torch.randn(4, 3, size, size), torch.arange(4) % 2
    return model, {"x": x}, lambda out: nn.functional.cross_entropy(out, y)


def timm_vit(load: Load) -> Made:
    return _images(
        load("timm").create_model(
            "vit_tiny_patch16_224", img_size=32, patch_size=8, depth=2, embed_dim=24, num_heads=2,
            num_classes=2, drop_rate=0.1, pos_drop_rate=0.1, patch_drop_rate=0.25, proj_drop_rate=0.1,
            attn_drop_rate=0.1, drop_path_rate=0.2,
        )
    )  # fmt: skip


def timm_swin(load: Load) -> Made:
    return _images(
        load("timm").create_model(
            "swin_tiny_patch4_window7_224", img_size=32, window_size=4, embed_dim=12, depths=(2, 2),
            num_heads=(2, 2), num_classes=2, drop_rate=0.1, proj_drop_rate=0.1, attn_drop_rate=0.1,
            drop_path_rate=0.2,
        )
    )  # fmt: skip


def timm_convnext(load: Load) -> Made:
    return _images(
        load("timm").create_model(
            "convnext_atto", depths=(1, 1, 1, 1), dims=(4, 4, 8, 8), num_classes=2, drop_rate=0.1,
            drop_path_rate=0.2,
        )
    )  # fmt: skip


def timm_efficientnet(load: Load) -> Made:
    model = load("timm").create_model("tinynet_e", num_classes=2, drop_rate=0.1, drop_path_rate=0.2)
    return _images(model)


def timm_mixer(load: Load) -> Made:
    model = load("timm.models.mlp_mixer").MlpMixer(
        img_size=32, patch_size=8, num_blocks=2, embed_dim=16, num_classes=2, drop_rate=0.1,
        proj_drop_rate=0.1, drop_path_rate=0.2,
    )  # fmt: skip
    return _images(model)


def timm_resnet(load: Load) -> Made:
    model = load("timm").create_model(
        "resnet10t", num_classes=2, drop_rate=0.1, drop_path_rate=0.2, drop_block_rate=0.1
    )
    return _images(model, 64)


# transformers


def _tokens(model: nn.Module, **more: Any) -> Made:
    tokens = torch.randint(3, 30, (4, 8))
    return model, {"input_ids": tokens, "labels": tokens, **more}, lambda out: out.loss


def _classes(model: nn.Module, **more: Any) -> Made:
    given = {"input_ids": torch.randint(3, 30, (4, 8)), "labels": torch.arange(4) % 2}
    return model, given | more, lambda out: out.loss


_SMALL = {"vocab_size": 32, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
_LAYERS = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
_HIDDEN = {"hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1}
_DECODER = {
    "d_model": 16,
    "encoder_layers": 1,
    "decoder_layers": 1,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 32,
    "decoder_ffn_dim": 32,
    "dropout": 0.1,
    "attention_dropout": 0.1,
    "activation_dropout": 0.1,
}


def gpt2(load: Load, attention: str) -> Made:
    t = load("transformers")
    config = t.GPT2Config(n_positions=16, n_embd=16, n_layer=2, n_head=2, **_SMALL)
    return _tokens(t.GPT2LMHeadModel._from_config(config, attn_implementation=attention))


def bert(load: Load, attention: str) -> Made:
    t = load("transformers")
    config = t.BertConfig(max_position_embeddings=16, classifier_dropout=0.1, **_SMALL, **_LAYERS, **_HIDDEN)
    return _classes(t.BertForSequenceClassification._from_config(config, attn_implementation=attention))


def t5(load: Load, attention: str) -> Made:
    t = load("transformers")
    small = {**_SMALL, "decoder_start_token_id": 0}
    config = t.T5Config(d_model=16, d_kv=8, d_ff=32, num_layers=2, num_heads=2, dropout_rate=0.1, **small)
    return _tokens(t.T5ForConditionalGeneration._from_config(config, attn_implementation=attention))


def llama(load: Load, attention: str) -> Made:
    t = load("transformers")
    config = t.LlamaConfig(attention_dropout=0.1, max_position_embeddings=16, **_SMALL, **_LAYERS)
    return _tokens(t.LlamaForCausalLM._from_config(config, attn_implementation=attention))


def deberta(load: Load, attention: str) -> Made:
    t = load("transformers")
    config = t.DebertaV2Config(
        max_position_embeddings=16, relative_attention=True, pos_att_type=["c2p", "p2c"], pooler_dropout=0.1,
        cls_dropout=0.1, **_SMALL, **_LAYERS, **_HIDDEN,
    )  # fmt: skip
    return _classes(t.DebertaV2ForSequenceClassification._from_config(config, attn_implementation=attention))


def whisper(load: Load, attention: str) -> Made:
    t = load("transformers")
    config = t.WhisperConfig(
        num_mel_bins=8, max_source_positions=10, max_target_positions=16, decoder_start_token_id=1,
        suppress_tokens=[], begin_suppress_tokens=[], **_SMALL, **_DECODER,
    )  # fmt: skip
    model = t.WhisperForConditionalGeneration._from_config(config, attn_implementation=attention)
    given = {"input_features": torch.randn(4, 8, 20), "labels": torch.randint(3, 30, (4, 8))}
    return model, given, lambda out: out.loss


def bart(load: Load, attention: str) -> Made:
    t = load("transformers")
    config = t.BartConfig(
        max_position_embeddings=16, decoder_start_token_id=2, forced_eos_token_id=None, **_SMALL, **_DECODER
    )
    return _tokens(t.BartForConditionalGeneration._from_config(config, attn_implementation=attention))


def vit(load: Load, attention: str) -> Made:
    t = load("transformers")
    config = t.ViTConfig(image_size=16, patch_size=8, num_labels=2, **_LAYERS, **_HIDDEN)
    model = t.ViTForImageClassification._from_config(config, attn_implementation=attention)
    given = {"pixel_values": torch.randn(4, 3, 16, 16), "labels": torch.arange(4) % 2}
    return model, given, lambda out: out.loss


# Hugging Face's own DropPath


def swin(load: Load, attention: str) -> Made:
    t = load("transformers")
    config = t.SwinConfig(
        image_size=16, patch_size=2, embed_dim=8, depths=[1, 2], num_heads=[2, 2], window_size=4,
        num_labels=2, drop_path_rate=0.2, **_HIDDEN,
    )  # fmt: skip
    model = t.SwinForImageClassification._from_config(config, attn_implementation=attention)
    given = {"pixel_values": torch.randn(4, 3, 16, 16), "labels": torch.arange(4) % 2}
    return model, given, lambda out: out.loss


# peft


def lora(load: Load) -> Made:
    t, peft = load("transformers"), load("peft")
    config = t.LlamaConfig(attention_dropout=0.1, max_position_embeddings=16, **_SMALL, **_LAYERS)
    adapter = peft.LoraConfig(r=2, lora_dropout=0.1, target_modules=["q_proj", "v_proj"], use_dora=False)
    return _tokens(peft.get_peft_model(t.LlamaForCausalLM(config), adapter))


# PyTorch Geometric


def _graph(model: nn.Module) -> Made:
    edges = torch.stack([torch.arange(20), (torch.arange(20) * 7 + 1) % 20])
    y = torch.arange(20) % 2
    return (
        model,
        {"x": torch.randn(20, 8), "edge_index": edges},
        lambda out: nn.functional.cross_entropy(out, y),
    )


def graph_sage(load: Load) -> Made:
    return _graph(load("torch_geometric.nn").GraphSAGE(8, 16, 2, 2, dropout=0.5))


def gat(load: Load) -> Made:
    class Net(nn.Module):
        """As the documentation of PyTorch Geometric writes it, with functional calls."""

        def __init__(self) -> None:
            super().__init__()
            layers = load("torch_geometric.nn")
            self.first = layers.GATConv(8, 8, heads=2, dropout=0.6)
            self.last = layers.GATConv(16, 2, heads=1, concat=False, dropout=0.6)

        def forward(self, x: torch.Tensor, edge_index: torch.Tensor) -> torch.Tensor:
            x = nn.functional.dropout(x, p=0.6, training=self.training)
            x = nn.functional.elu(self.first(x, edge_index))
            x = nn.functional.dropout(x, p=0.6, training=self.training)
            return self.last(x, edge_index)

    return _graph(Net())


def gcn(load: Load) -> Made:
    return _graph(load("torch_geometric.nn").GCN(8, 16, 2, 2, dropout=0.5, norm="BatchNorm"))


FAMILIES: dict[str, Callable[[Load], Made]] = {
    **{
        each.__name__: each
        for each in (timm_vit, timm_swin, timm_convnext, timm_efficientnet, timm_mixer, timm_resnet)
    },
    **{each.__name__: each for each in (lora, graph_sage, gat, gcn)},
    **{
        f"{each.__name__}-{attention}": functools.partial(each, attention=attention)
        for each in (gpt2, bert, t5, llama, deberta, whisper, bart, vit, swin)
        for attention in ("eager", "sdpa")
        if (each, attention) != (deberta, "sdpa")  # which it has not
    },
}
"""Every model by its name."""
