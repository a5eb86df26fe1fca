"""Whether dropout helps on a table, how much of it, and where.

`TablePreparation` and `split` are a study's own handling of tables, for scikit-learn's pipelines.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from thinnet.study._tables.pipeline import TablePreparation, split

__all__ = ["TablePreparation", "split"]


def __getattr__(name: str) -> Any:
    # The command asks for its parts one by one; nothing else is loaded on its way.
    if name in __all__:
        from thinnet.study._tables import pipeline

        return getattr(pipeline, name)
    raise AttributeError(f"module 'thinnet.study' has no attribute {name!r}")
