"""Variants of activations that need more than a rate and learn nothing, with the bits of NumPy."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional as F  # noqa: N812 - its usual name

from thinnet._checks import check_boolean, check_integer
from thinnet._core.random import Window
from thinnet.errors import InputError
from thinnet.torch._apply import apply, round_once
from thinnet.torch._ops import keys
from thinnet.torch._ops.gains import gains
from thinnet.torch.functional._entry import AnyKey, Tensor, check_local, check_p, draw_gains
from thinnet.torch.functional._rows import drop
from thinnet.variants._beyond import maxpool, shakedrop

__all__ = [
    "cutout",
    "drop_edges",
    "drop_head",
    "max_pool_dropout",
    "patch_dropout",
    "shake_drop",
]


def drop_head(
    x: Tensor, p: float, *, key: AnyKey = None, training: bool = True, window: Window | None = None
) -> Tensor:
    """Drop heads of each sample and multiply the others by `heads / kept`.

    Evaluation returns x.

    Parameters
    ----------
    x : Tensor of floating point, shape (n, heads, tokens, features)
        The outputs of the heads.
    p : float
        Chance that a head is dropped, in [0, 1].
    key : Key, or Tensor of int64, optional
        The address of the randomness; the default is a fresh key from torch's generator.
    training : bool
        Draw a mask, or return x.
    window : Window, optional
        The part of a global array that x is; heads of other parts are counted too.

    Returns
    -------
    Tensor
        Of the shape and dtype of x.

    Raises
    ------
    InputError
        An x of other axes, a p outside [0, 1].

    Examples
    --------
    >>> import thinnet as tn
    >>> drop_head(torch.ones(2, 4, 1, 1), 0.5, key=tn.Key(0))[..., 0, 0].round(decimals=3)
    tensor([[1.3330, 0.0000, 1.3330, 1.3330],
            [1.0000, 1.0000, 1.0000, 1.0000]])

    References
    ----------
    Zhou et al.: Scheduled DropHead: a regularization method for transformer models. Findings of EMNLP 2020,
    section 3.
    """
    x, p = check_local("DropHead", x, axes="n heads tokens features"), check_p("DropHead", p)
    return apply(draw_gains("DropHead", x, key, window, options=(p,)), 0.0, x) if training else x


def shake_drop(
    x: Tensor, p: float, *, key: AnyKey = None, training: bool = True, window: Window | None = None
) -> Tensor:
    """Multiply the branch of each sample by 1 or, with chance p, by uniform noise on (-1, 1).

    Backward, the same samples are multiplied by other noise, uniform on (0, 1). Evaluation multiplies by
    keep.

    Parameters
    ----------
    x : Tensor of floating point, shape (n, …)
        The output of a branch.
    p : float
        Chance of noise, in [0, 1].
    key : Key, or Tensor of int64, optional
        The address of the randomness; the default is a fresh key from torch's generator.
    training : bool
        Draw a gain for each sample, or multiply by keep.
    window : Window, optional
        The part of a global array that x is.

    Returns
    -------
    Tensor
        Of the shape and dtype of x.

    Raises
    ------
    InputError
        An x without axes, a p outside [0, 1].

    Examples
    --------
    >>> import thinnet as tn
    >>> shake_drop(torch.ones(4, 1), 0.5, key=tn.Key(0)).flatten().round(decimals=3)
    tensor([ 1.0000, -0.0350,  1.0000,  1.0000])

    References
    ----------
    Yamada et al.: ShakeDrop regularization for deep residual learning. IEEE Access 7, 2019, section III.
    """
    x, p = check_local("ShakeDrop", x), check_p("ShakeDrop", p)
    if not x.dim():
        raise InputError("ShakeDrop: x must have shape (n, …), got ().")
    if not training:
        return apply(shakedrop.mean_gain(p), 0.0, x)
    address = keys.key_or_fresh("ShakeDrop", key)
    forward, backward = (
        draw_gains("ShakeDrop", x, address, window, options=(p, side)) for side in (0.0, 1.0)
    )
    return _shake(x, forward, backward)


class _Shake(torch.autograd.Function):
    """Multiply forward by one gain and backward by another."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, forth: Tensor, back: Tensor) -> Tensor:
        return apply(forth, 0.0, x)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Tensor) -> None:
        ctx.save_for_backward(inputs[2])

    @staticmethod
    def backward(ctx: Any, *dys: Tensor) -> Any:
        (back,) = ctx.saved_tensors
        return apply(back, 0.0, dys[0]), None, None


_shake: Any = _Shake.apply


def max_pool_dropout(
    x: Tensor,
    p: float,
    *,
    key: AnyKey = None,
    kernel_size: int = 2,
    stride: int | None = None,
    training: bool = True,
    window: Window | None = None,
) -> Tensor:
    """Take the largest entry of each window that is not dropped; 0 if all are.

    Evaluation weights the entries of a window, in descending order, by `keep * p**(i - 1)`.

    Parameters
    ----------
    x : Tensor of floating point, shape (n, channels, height, width)
        Activations of at least 0, as after a rectifier; negative ones are not looked for.
    p : float
        Chance that an entry is dropped, in [0, 1].
    key : Key, or Tensor of int64, optional
        The address of the randomness; the default is a fresh key from torch's generator.
    kernel_size, stride : int
        Of the windows, in entries; the stride is the kernel size if not given.
    training : bool
        Draw a mask, or weight entries by their chances.
    window : Window, optional
        The part of a global array that x is.

    Returns
    -------
    Tensor, shape (n, channels, (height - size) // stride + 1, (width - size) // stride + 1)
        Of the dtype of x.

    Raises
    ------
    InputError
        An x of other axes, windows that are larger than x, a p outside [0, 1].

    Examples
    --------
    >>> max_pool_dropout(torch.tensor([[[[4.0, 3.0], [2.0, 1.0]]]]), 0.5, training=False)
    tensor([[[[3.0625]]]])

    References
    ----------
    Wu, Gu: Max-pooling dropout for regularization of convolutional neural networks. ICONIP 2015, section 3.
    """
    x, p = check_local("MaxPoolDropout", x, axes="n channels height width"), check_p("MaxPoolDropout", p)
    size = check_integer("MaxPoolDropout", "kernel_size", kernel_size, 1)
    step = size if stride is None else check_integer("MaxPoolDropout", "stride", stride, 1)
    if min(x.shape[2:]) < size:
        raise InputError(f"MaxPoolDropout: windows of {size} are larger than x, of shape {tuple(x.shape)}.")
    if training:
        return F.max_pool2d(drop("UnscaledDropout", x, p, key=key, window=window), size, step)
    windows = x.unfold(2, size, step).unfold(3, size, step).flatten(-2)  # (n, c, h, w, size**2)
    weights = torch.from_numpy(maxpool.mean_weights(p, size**2)).to(x.device)
    ordered = windows.double().sort(-1, descending=True).values[..., : len(weights)]
    return round_once(apply(weights, 0.0, ordered).sum(-1), x.dtype)


def patch_dropout(
    x: Tensor,
    p: float,
    *,
    key: AnyKey = None,
    prefix: int = 0,
    training: bool = True,
    window: Window | None = None,
) -> tuple[Tensor, Tensor]:
    """Remove tokens of each sample: exactly `round((t - prefix) * (1 - p))` are kept, in order.

    At least one is kept, and the first `prefix` tokens always are. Nothing is scaled; evaluation keeps all.

    Parameters
    ----------
    x : Tensor of floating point, shape (n, t, features)
        Tokens.
    p : float
        Share of tokens that is removed, in [0, 1].
    key : Key, or Tensor of int64, optional
        The address of the randomness; the default is a fresh key from torch's generator.
    prefix : int
        The number of tokens at the front that are always kept: 1 where the first is the class token.
    training : bool
        Remove tokens, or none.
    window : Window, optional
        The samples of a global array that x is.

    Returns
    -------
    kept : Tensor, shape (n, k, features)
    index : Tensor of int64, shape (n, k)
        The indices of these tokens, ascending.

    Raises
    ------
    InputError
        An x of other axes, a p outside [0, 1], a prefix longer than x.

    Examples
    --------
    >>> import thinnet as tn
    >>> kept, index = patch_dropout(torch.zeros(2, 9, 3), 0.5, key=tn.Key(0), prefix=1)
    >>> kept.shape, index.tolist()
    (torch.Size([2, 5, 3]), [[0, 2, 3, 6, 7], [0, 2, 3, 4, 7]])

    References
    ----------
    Liu et al.: PatchDropout: economizing vision transformers using patch dropout. WACV 2023, section 3.
    """
    x, p = check_local("PatchDropout", x, axes="n tokens features"), check_p("PatchDropout", p)
    n, tokens, features = x.shape
    prefix = check_integer("PatchDropout", "prefix", prefix, 0, tokens)
    if window is not None and window.size[1:] != window.shape[1:]:
        raise InputError("PatchDropout: a window must have all tokens and features of its samples.")
    if not training or prefix == tokens:
        return x, torch.arange(tokens, device=x.device).expand(n, tokens)
    index = draw_gains("PatchDropout", x, key, window, options=(p, float(prefix)))
    return x.gather(1, index[..., None].expand(-1, -1, features)), index


def cutout(
    x: Tensor,
    size: int | tuple[int, int],
    *,
    key: AnyKey = None,
    training: bool = True,
    window: Window | None = None,
) -> Tensor:
    """Erase one box of each image, the same in all channels; its centre is any pixel.

    Nothing is scaled. Evaluation returns x.

    Parameters
    ----------
    x : Tensor of floating point, shape (n, channels, height, width)
        Images of mean 0.
    size : int or (int, int)
        Height and width of the box, in pixels.
    key : Key, or Tensor of int64, optional
        The address of the randomness; the default is a fresh key from torch's generator.
    training : bool
        Erase, or return x.
    window : Window, optional
        The part of a global array that x is.

    Returns
    -------
    Tensor
        Of the shape and dtype of x.

    Raises
    ------
    InputError
        An x of other axes, a size that is not whole numbers of at least 0.

    Examples
    --------
    >>> import thinnet as tn
    >>> cutout(torch.ones(1, 1, 4, 4), 2, key=tn.Key(0))[0, 0, 2:]
    tensor([[1., 1., 0., 0.],
            [1., 1., 0., 0.]])

    References
    ----------
    DeVries, Taylor: Improved regularization of convolutional neural networks with cutout. arXiv:1708.04552,
    2017, section 3.2.
    """
    x = check_local("Cutout", x, axes="n channels height width")
    sides: Any = tuple(size) if isinstance(size, tuple | list) else (size, size)
    if len(sides) != 2:
        raise InputError(f"Cutout: size must be one whole number, or two, got {size!r}.")
    box = tuple(float(check_integer("Cutout", "size", side, 0, 1 << 31)) for side in sides)
    return apply(draw_gains("Cutout", x, key, window, options=box), 0.0, x) if training else x


def drop_edges(
    edges: Tensor, p: float, *, key: AnyKey = None, undirected: bool = False, training: bool = True
) -> tuple[Tensor, Tensor]:
    """Remove edges of a graph with chance p: the kept ones, and the mask.

    Normalise the adjacency matrix afterwards; nothing is scaled. Evaluation keeps all.

    Parameters
    ----------
    edges : Tensor of int, shape (2, E)
        Sources and targets.
    p : float
        Chance that an edge is removed, in [0, 1].
    key : Key, or Tensor of int64, optional
        The address of the randomness; the default is a fresh key from torch's generator.
    undirected : bool
        Whether (a, b) and (b, a) are one edge, and are dropped together, as repeated ones are.
    training : bool
        Remove edges, or none.

    Returns
    -------
    kept : Tensor of int, shape (2, E')
    mask : Tensor of bool, shape (E,)
        True = kept.

    Raises
    ------
    InputError
        Edges that are not whole numbers of shape (2, E), a p outside [0, 1].

    Examples
    --------
    >>> import thinnet as tn
    >>> kept, mask = drop_edges(torch.tensor([[0, 1, 2, 3], [1, 2, 3, 0]]), 0.5, key=tn.Key(0))
    >>> kept.tolist(), mask.tolist()
    ([[0, 2, 3], [1, 3, 0]], [True, False, True, True])

    References
    ----------
    Rong et al.: DropEdge: towards deep graph convolutional networks on node classification. ICLR 2020,
    section 4.1.
    """
    tensor = isinstance(edges, torch.Tensor)
    whole = tensor and not (edges.is_floating_point() or edges.is_complex() or edges.dtype == torch.bool)
    if not whole or edges.dim() != 2 or len(edges) != 2:
        got = f"{edges.dtype} of shape {tuple(edges.shape)}" if tensor else type(edges).__name__
        raise InputError(f"drop_edges: edges must be a tensor of whole numbers of shape (2, E), got {got}.")
    p = check_p("drop_edges", p)
    both = float(check_boolean("drop_edges", "undirected", undirected))
    if not training:
        return edges, torch.ones(edges.shape[1], dtype=torch.bool, device=edges.device)
    address = keys.key_or_fresh("drop_edges", key)
    mask = gains("drop_edges", address, edges.shape, (), edges, (p, both), edges.device)
    return edges[:, mask], mask
