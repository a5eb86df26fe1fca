"""Modules for embeddings and tokens."""

from __future__ import annotations

import torch
from torch import nn

from thinnet._checks import check_integer
from thinnet.errors import InputError
from thinnet.torch._apply import apply
from thinnet.torch._modules.base import Rated, Tensor, traceable
from thinnet.torch.functional import drop, patch_dropout

__all__ = ["EmbeddingDropout", "PatchDropout"]


class EmbeddingDropout(Rated):
    """Drops rows of an embedding's table, so a word at all its places, and divides the others by keep.

    Only the rows that are looked up are multiplied; the bits are those of dropping the whole table.

    Parameters
    ----------
    embedding : Embedding
        The wrapped module; its weight stays at `embedding.weight`.
    p : float
        Chance that a word is dropped, in [0, 1].

    Raises
    ------
    InputError
        Another module than an Embedding, or a rate outside [0, 1].

    Examples
    --------
    >>> EmbeddingDropout(nn.Embedding(10, 4), 0.2)
    EmbeddingDropout(
      p=0.2
      (embedding): Embedding(10, 4)
    )

    References
    ----------
    Gal, Ghahramani: A theoretically grounded application of dropout in recurrent networks. NeurIPS 2016,
    section 4.2.
    """

    variant = "EmbeddingDropout"

    def __init__(self, embedding: nn.Embedding, p: float = 0.1) -> None:
        super().__init__(p)
        if not isinstance(embedding, nn.Embedding):
            kind = type(embedding).__name__
            raise InputError(f"EmbeddingDropout: embedding must be a torch.nn.Embedding, got {kind}.")
        self.embedding = embedding

    @traceable
    def forward(self, input: Tensor) -> Tensor:
        """Return the rows of the table at the indices in input; whole words are dropped while training."""
        rows = self.embedding(input)
        if not self.training or self.rests:
            return rows
        # Half precision is multiplied in float32, as where the whole table is dropped.
        wide = torch.promote_types(rows.dtype, torch.float32)
        gains = drop(
            "EmbeddingDropout",
            rows.new_ones((self.embedding.num_embeddings, 1), dtype=wide),
            self.rate,
            key=self.key(),
        )
        return apply(gains[input], 0.0, rows)


class PatchDropout(Rated):
    """Removes tokens of each sample, (n, t, features): `round((t - prefix) * (1 - p))` remain, in order.

    Evaluation returns x.

    Parameters
    ----------
    p : float
        Share of the tokens that is removed, in [0, 1].
    prefix : int
        Number of leading tokens that always remain: 1 where the first is the class token.

    References
    ----------
    Liu et al.: PatchDropout: economizing vision transformers using patch dropout. WACV 2023, section 3.
    """

    variant = "PatchDropout"

    def __init__(self, p: float = 0.5, prefix: int = 1) -> None:
        super().__init__(p)
        self.prefix = check_integer("PatchDropout", "prefix", prefix, 0)

    @traceable
    def forward(self, input: Tensor) -> Tensor:
        """Return input (n, tokens, e) without the dropped tokens while training, else input itself."""
        if not self.training or self.rests:
            return input
        return patch_dropout(input, self.p, key=self.key(), prefix=self.prefix)[0]

    def extra_repr(self) -> str:
        return f"p={self.p}, prefix={self.prefix}"
