"""Put thinnet's dropouts in the place of torch's in a model, and take them back."""

from __future__ import annotations

from typing import Any, cast

from torch import nn

from thinnet.errors import InputError
from thinnet.torch import modules

__all__ = ["replace", "restore"]

_PAIRS: tuple[tuple[type[nn.Module], type[nn.Module]], ...] = (
    (nn.Dropout, modules.Dropout),
    (nn.Dropout1d, modules.Dropout1d),
    (nn.Dropout2d, modules.Dropout2d),
    (nn.Dropout3d, modules.Dropout3d),
    (nn.AlphaDropout, modules.AlphaDropout),
    (nn.FeatureAlphaDropout, modules.FeatureAlphaDropout),
)


def replace(model: nn.Module) -> list[str]:
    """Replace torch's dropout modules by thinnet's, in place; return their qualified names.

    Nested and shared modules are found; p, inplace, the mode and hooks stay. Calls of `F.dropout` inside a
    forward are no modules and stay as they are.

    Raises
    ------
    InputError
        The model holds no dropout of torch's.

    Examples
    --------
    >>> from typing import Any, cast

    from torch import nn
    >>> model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Dropout(0.2))
    >>> replace(model), type(model[2]).__module__
    (['2'], 'thinnet.torch.modules')
    """
    names = _swap(model, dict(_PAIRS))
    if not names:
        raise InputError("replace: the model holds no dropout module of torch's; nothing was changed.")
    return names


def restore(model: nn.Module) -> list[str]:
    """Undo `replace`; return the qualified names of what was changed.

    Examples
    --------
    >>> from typing import Any, cast

    from torch import nn
    >>> model = nn.Sequential(modules.Dropout(0.2))
    >>> restore(model), type(model[0]) is nn.Dropout
    (['0'], True)
    """
    return _swap(model, {ours: theirs for theirs, ours in _PAIRS})


def _swap(model: nn.Module, kinds: dict[type[nn.Module], type[nn.Module]]) -> list[str]:
    every = cast("Any", model).named_modules()
    found: list[tuple[str, nn.Module]] = [(name, module) for name, module in every if type(module) in kinds]
    for _, module in found:
        # The same object with another forward: whoever shares it, hooks it or counts it goes on doing so.
        module.__class__ = kinds[type(module)]
    return [name for name, _ in found]
