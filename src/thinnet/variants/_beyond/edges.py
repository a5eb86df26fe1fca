"""Edges of a graph, removed from its list of edges."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from thinnet._checks import check_boolean, check_rate
from thinnet._core.random import Key, lanes
from thinnet._core.random.key import check_key
from thinnet.errors import InputError
from thinnet.variants._beyond.function import FunctionVariant
from thinnet.variants._law import threshold_of

__all__ = ["ROW", "drop_edges", "kept_edges"]


def kept_edges(key: Key, edges: NDArray[Any], *, rate: float, undirected: bool) -> NDArray[np.bool_]:
    """Return the mask of a list of edges, (2, E): True where an edge is kept.

    Examples
    --------
    >>> kept_edges(Key(0), np.zeros((2, 4), int), rate=0.5, undirected=False).tolist()
    [True, False, True, True]
    """
    mask = lanes(key, edges.shape[1:]) >= threshold_of(rate)
    if undirected and mask.size:
        # Both directions of an edge share the lane of the one that comes first in the list.
        pairs = np.sort(edges, axis=0)
        _, first, same = np.unique(pairs, axis=1, return_index=True, return_inverse=True)
        mask = mask[first][same.reshape(-1)]
    return mask


def check_edges(edges: ArrayLike) -> NDArray[np.integer]:
    """Return a list of edges as an array of whole numbers, (2, E)."""
    try:
        known = np.asarray(edges)
    except (TypeError, ValueError):  # lists of several lengths
        known = np.zeros((), object)
    known = known.astype(np.int64) if not known.size else known
    if known.ndim != 2 or len(known) != 2 or known.dtype.kind not in "iu":
        raise InputError(
            f"drop_edges: edges must be whole numbers of shape (2, E), got {known.dtype} of shape "
            f"{known.shape}."
        )
    return known


def drop_edges(
    edges: ArrayLike, rate: float, *, key: Key, undirected: bool = False
) -> tuple[NDArray[np.integer], NDArray[np.bool_]]:
    """Remove edges with chance `rate`; return the remaining list and its mask.

    Normalise the adjacency matrix afterwards; nothing is scaled.

    Parameters
    ----------
    edges : array_like of int, shape (2, E)
        Sources and targets.
    rate : float
        Chance that an edge is removed, in [0, 1].
    key : Key
        The address of the randomness.
    undirected : bool
        Whether (a, b) and (b, a) are one edge, and are dropped together, as repeated ones are.

    Returns
    -------
    kept : ndarray of int, shape (2, E')
    mask : ndarray of bool, shape (E,)
        True = kept.

    Raises
    ------
    InputError
        Edges that are not whole numbers of shape (2, E), a rate outside [0, 1].

    Examples
    --------
    >>> import thinnet as tn
    >>> kept, mask = drop_edges([[0, 1, 2, 3], [1, 2, 3, 0]], 0.5, key=tn.Key(0))
    >>> kept.tolist(), mask.tolist()
    ([[0, 2, 3], [1, 3, 0]], [True, False, True, True])

    References
    ----------
    Rong et al.: DropEdge: towards deep graph convolutional networks on node classification. ICLR 2020,
    section 4.1.
    """
    known = check_edges(edges)
    check_key("drop_edges", key)
    chance = float(check_rate("drop_edges", rate, ()))
    both = check_boolean("drop_edges", "undirected", undirected)
    mask = kept_edges(key, known, rate=chance, undirected=both)
    return known[:, mask], mask


ROW = FunctionVariant(
    "drop_edges",
    "input",
    "Rong et al.: DropEdge: towards deep graph convolutional networks on node classification. ICLR 2020, "
    "section 4.1",
    "Removes edges from a list of edges, (2, E); the row DropEdge zeroes them.",
    "dropped edges are removed: the list gets shorter",
    (drop_edges,),
    usual=0.5,
    helps="Deep graph networks, where node features become alike (over-smoothing).",
    differs="PyTorch Geometric's dropout_edge gives the same pair; its undirected form appends the "
    "reversed edges.",
)
