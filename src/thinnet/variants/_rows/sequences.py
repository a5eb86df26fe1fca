"""Variants for sequences, (n, time, features): embeddings, recurrent states and attention."""

from thinnet.variants._law import hold, inverted
from thinnet.variants._variant import Variant

__all__ = ["ROWS"]

_GAL = "Gal, Ghahramani: A theoretically grounded application of dropout in recurrent networks. NeurIPS 2016"
_MERITY = "Merity et al.: Regularizing and optimizing LSTM language models. ICLR 2018"

ROWS = (
    Variant(
        "LockedDropout",
        "activation",
        "n 1 f",
        inverted,
        cite=f"{_GAL}; {_MERITY}, section 4.1",
        doc="One mask for a whole sequence, (n, time, features).",
        usual=0.4,
        helps="Between recurrent layers.",
        differs="AWD-LSTM has time first, (time, n, features).",
    ),
    Variant(
        "EmbeddingDropout",
        "embedding",
        "v 1",
        inverted,
        cite=f"{_GAL}, section 4.2; {_MERITY}, section 4.3",
        doc="Drops rows of an embedding table, and with them a word at all its positions.",
        usual=0.1,
        helps="Language models with small corpora.",
    ),
    Variant(
        "TokenDropout",
        "embedding",
        "n t 1",
        inverted,
        cite="Dai, Le: Semi-supervised sequence learning. NeurIPS 2015, section 2",
        doc="Zeroes the embeddings of single tokens and divides the others by keep.",
        usual=0.2,
        helps="Text classifiers that rely on a few words.",
    ),
    Variant(
        "WordDropout",
        "embedding",
        "n t 1",
        hold,
        cite="Bowman et al.: Generating sentences from a continuous space. CoNLL 2016, section 3.1; "
        "Iyyer et al.: Deep unordered composition. ACL 2015, section 2.3",
        doc="Replaces single tokens by the embedding of UNK, passed as other; nothing is scaled.",
        other="unknown",
        inference="identity",
        usual=0.3,
        helps="Decoders that would rely on the last word alone.",
        differs="The papers replace word indices before the embedding, which gives the same vectors.",
    ),
    Variant(
        "ConditionDropout",
        "embedding",
        "n 1...",
        hold,
        cite="Ho, Salimans: Classifier-free diffusion guidance. arXiv:2207.12598, 2022, algorithm 1",
        doc="Replaces the condition of some samples by the null embedding, passed as other; nothing is "
        "scaled.",
        other="null",
        inference="identity",
        usual=0.1,
        helps="Diffusion models that train with and without their condition, for classifier-free guidance.",
        differs="DiT replaces labels before the embedding, which gives the same vectors.",
    ),
    Variant(
        "VariationalRNN",
        "state",
        "...",
        inverted,
        cite=f"{_GAL}, section 4.1",
        doc="Drops entries of inputs and states, with the same mask at every time step.",
        usual=0.25,
        helps="Recurrent networks, whose memory fresh masks at every time step would destroy.",
    ),
    Variant(
        "RecurrentDropout",
        "state",
        "...",
        inverted,
        cite="Semeniuta et al.: Recurrent dropout without memory loss. COLING 2016, section 3.2",
        doc="Drops entries of the candidate update alone, so that the memory cell keeps its content.",
        usual=0.25,
        helps="LSTM and GRU cells, with fresh masks at every time step.",
    ),
    Variant(
        "Zoneout",
        "state",
        "...",
        hold,
        cite="Krueger et al.: Zoneout. ICLR 2017, section 3",
        doc="Keeps the previous state, passed as other, for some entries; inference mixes both states.",
        other="previous",
        usual=0.1,
        helps="LSTM and GRU states.",
    ),
    Variant(
        "AttentionDropout",
        "attention",
        "...",
        inverted,
        cite="Vaswani et al.: Attention is all you need. NeurIPS 2017, section 5.4; Zehui et al.: "
        "DropAttention. 2019",
        doc="Drops attention weights after the softmax and divides the others by keep.",
        usual=0.1,
        helps="Transformers; in training, rows of weights no longer sum to 1.",
    ),
    Variant(
        "DropKey",
        "attention",
        "...",
        hold,
        cite="Li et al.: DropKey. CVPR 2023, section 3.2",
        doc="Sets attention logits to the lowest finite number before the softmax, so weights still "
        "sum to 1.",
        other="lowest",
        inference="identity",
        usual=0.1,
        helps="Vision transformers.",
        differs="The paper adds -1e12, which float16 cannot represent. A row whose logits are all dropped "
        "has uniform weights.",
    ),
)
