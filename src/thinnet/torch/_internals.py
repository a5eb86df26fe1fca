"""Every private name of PyTorch that thinnet.torch uses, each with a fallback through the public API.

PyTorch may rename or remove a private name in any release. Where the installed version lacks one, its
fallback takes over; `THINNET_TORCH_FALLBACKS=1` in the environment of the process forces all of them.
Masks, values and gradients are the same. The names were seen in PyTorch 2.13 and 2.15. The cost of the
fallbacks:

- `_len_torch_dispatch_stack`, `_current_level`, `_dispatch_keys`: every call goes through the dispatcher,
  which small tensors feel.
- `_get_current_function_mode`: functional calls of nested modules pass one mode for each level, and
  a `nn.TransformerEncoder` in a module with functional calls takes its slower path of evaluation.
- `_top_saved_tensors_default_hooks`: a key that had two different shards is refused in any recomputation.
- `_get_tracing_state`, `_are_functorch_transforms_active`: none.
- `_current_graph_task_id`: each mask of a seeded module looks through the Python stack, some microseconds.
- `_AutoDispatchBelowAutograd`, `enable_single_level_autograd_function`, `_set_fwd_grad_enabled`,
  `_SingleLevelFunction` (the base class of `torch.autograd.Function`): slower, and `torch.ops.thinnet` itself
  has no forward derivatives and no transforms of torch.func in compiled code; the functions and modules have.
- `get_interpreter_stack`: inside torch.func.grad, too, compiled code draws its fresh keys as inside vmap.
- `InstructionTranslator`: the bodies of torch.cond and of nested compiled regions cannot draw.
- `TorchDispatchMode`: `thinnet.torch.summary` refuses inputs.
- `_apply`: a recurrent layer in a WeightDrop spends a key when it is moved to a device or dtype, and cannot
  be copied between that and its next forward.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import inspect
import os
import sys
import warnings
from collections.abc import Callable, Generator
from typing import Any, TypeAlias, cast

import torch
from torch.autograd import forward_ad

from thinnet.errors import InputError

__all__ = [
    "FORCED",
    "MISSING",
    "Convertible",
    "DispatchMode",
    "add_decomposition",
    "below_autograd",
    "direct_apply",
    "function_mode",
    "in_backward",
    "in_eager_mode",
    "in_subgraph",
    "in_transform",
    "in_vmap",
    "is_plain",
    "is_plain_in_eager_mode",
    "is_recording",
    "is_tracing",
    "is_wrapper",
    "load_decompositions",
    "may_be_recomputed",
    "register_derivatives",
    "schema_of",
]

Tensor: TypeAlias = torch.Tensor


def _read_switch() -> bool:
    value = os.environ.get("THINNET_TORCH_FALLBACKS", "")
    if value not in ("", "0", "1"):
        raise InputError(f"THINNET_TORCH_FALLBACKS: must be 0 or 1, got {value!r}; set it to 1 or unset it.")
    return value == "1"


FORCED = _read_switch()
"""Whether the fallbacks are used although the private names are there."""

MISSING: list[str] = []
"""The private names that this version of PyTorch lacks, or all of them if the fallbacks are forced."""


def _find(module: str, name: str) -> Any:
    """Return a private object, or None where the fallback has to serve."""
    try:
        found = None if FORCED else getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError):
        found = None
    if found is None:
        MISSING.append(f"{module}.{name}")
    return found


_count_modes = _find("torch._C", "_len_torch_dispatch_stack")
_transforms_active = _find("torch._C", "_are_functorch_transforms_active")
_tracing_state = _find("torch._C", "_get_tracing_state")
_dispatch_keys = _find("torch._C", "_dispatch_keys")
_graph_task = _find("torch._C", "_current_graph_task_id")
_below = _find("torch._C", "_AutoDispatchBelowAutograd")
_single_level = _find("torch._functorch.utils", "enable_single_level_autograd_function")
_single_level_class = _find("torch.autograd.function", "_SingleLevelFunction")
_enable_forward = _find("torch.autograd.forward_ad", "_set_fwd_grad_enabled")
_forward_level = _find("torch.autograd.forward_ad", "_current_level")  # at import: -1
_saving_hooks = _find("torch._C._autograd", "_top_saved_tensors_default_hooks")
_interpreters = _find("torch._C._functorch", "get_interpreter_stack")
_function_mode = _find("torch.overrides", "_get_current_function_mode")
_dispatch_mode = _find("torch.utils._python_dispatch", "TorchDispatchMode")

_ONE_LEVEL = _below, _single_level, _single_level_class, _enable_forward
_TRANSLATOR = "torch._dynamo.symbolic_convert"  # slow to import: compilers have it loaded
_dual: Any = forward_ad
_jit: Any = torch.jit
# Without entries: torch's rules for calls of its methods are all that matters.
_probe = torch.empty(0, device="cpu")
_BACKWARD = {getattr(start, "__code__", None) for start in (torch.autograd.backward, torch.autograd.grad)}


def is_tracing() -> bool:
    """Return whether torch.jit.trace is at work."""
    return _jit.is_tracing() if _tracing_state is None else _tracing_state() is not None


def is_recording() -> bool:
    """Return whether make_fx records a graph."""
    module: Any = sys.modules.get("torch.fx.experimental.proxy_tensor")  # make_fx has imported it
    return module is not None and module.get_proxy_mode() is not None


def in_transform() -> bool:
    """Return whether a transform of torch.func (vmap, grad, jvp, …) is at work."""
    if _transforms_active is not None:
        return _transforms_active()
    try:
        _probe.requires_grad_(False)
    except RuntimeError:  # inside a transform no tensor may begin to require gradients
        return True
    return False


def in_vmap() -> bool:
    """Return whether torch.vmap is at work; the fallback returns True inside any transform."""
    if _interpreters is None:
        return in_transform()
    return in_transform() and any(level.key().name == "Vmap" for level in _interpreters() or ())


def may_be_recomputed() -> bool:
    """Return whether a checkpoint may run the present forward again; the fallback returns True.

    One kind of checkpoint runs the forward without gradients, the other with hooks for saved tensors.
    """
    return not torch.is_grad_enabled() or _saving_hooks is None or _saving_hooks(True) is not None


_NO_SUBGRAPHS = (None, "tag_activation_checkpoint")


def in_subgraph() -> bool:
    """Return whether `torch.compile` traces the body of an operator that refuses writes, as of torch.cond.

    Call it while the compiler traces only, in a function whose result is a constant of the graph. The
    fallback returns False: such bodies cannot draw then.
    """
    if FORCED:
        return False
    try:
        tracer = cast("Any", importlib.import_module(_TRANSLATOR)).InstructionTranslator.current_tx()
        tracer = tracer.output.current_tracer
        while tracer is not None:
            if getattr(tracer.source_target, "__name__", tracer.source_target) not in _NO_SUBGRAPHS:
                return True
            tracer = tracer.parent
    except (ImportError, AttributeError):
        pass
    return False


def in_eager_mode() -> bool:
    """Return whether nothing observes operators: no compiler, transform, mode, tracer or forward derivative.

    The fallback cannot see modes and returns False: the dispatcher, which is always right, is then used.
    """
    return not (
        torch.compiler.is_compiling()
        or _count_modes is None
        or _forward_level is None
        or _count_modes() > 0
        or in_transform()
        or is_tracing()
        or _dual._current_level >= 0
    )


def function_mode() -> Any:
    """Return the innermost mode of torch.overrides that is active, or None; the fallback returns None."""
    return None if _function_mode is None else _function_mode()


def in_backward() -> bool:
    """Return whether the caller runs inside a backward pass, as the recomputation of a checkpoint does."""
    if _graph_task is not None:
        return _graph_task() != -1
    frame, outermost = inspect.currentframe(), None
    while frame is not None:
        if frame.f_code in _BACKWARD:
            return True
        frame, outermost = frame.f_back, frame
    # The engine's own threads, one for each device, enter Python in a module of torch.
    name = "" if outermost is None else outermost.f_globals.get("__name__", "")
    return name.partition(".")[0] == "torch"


def _plain_keys() -> frozenset[int]:
    # Dense tensors of the CPU, made with gradients and without, have no more to them than this. Negated views
    # have, zeros that take no memory, and the batches of the older vmap, which takes many gradients at once.
    with torch.inference_mode(False):
        usual = _dispatch_keys(torch.empty(0, device="cpu")).raw_repr()
    with torch.inference_mode():
        return frozenset({usual, _dispatch_keys(torch.empty(0, device="cpu")).raw_repr()})


_KINDS = frozenset({torch.Tensor, torch.nn.Parameter})
_PLAIN = frozenset() if _dispatch_keys is None else _plain_keys()


def is_plain(x: Tensor) -> bool:
    """Return whether a tensor is dense memory of the CPU and nothing else; the fallback returns False."""
    return type(x) in _KINDS and _dispatch_keys is not None and _dispatch_keys(x).raw_repr() in _PLAIN


def is_plain_in_eager_mode(x: Any) -> bool:
    """Return `in_eager_mode() and is_plain(x)` by one call: small tensors feel each of them."""
    return not (
        torch.compiler.is_compiling()
        or type(x) not in _KINDS
        or _dispatch_keys is None
        or _dispatch_keys(x).raw_repr() not in _PLAIN
        or _count_modes is None
        or _count_modes()
        or _transforms_active is None
        or _transforms_active()
        or _tracing_state is None
        or _tracing_state() is not None
        or _forward_level is None
        or _dual._current_level >= 0
    )


def direct_apply(function: type[torch.autograd.Function]) -> Callable[..., Any]:
    """Return `function.apply` without its detour by torch.func, which takes longer than a small dropout.

    What it returns may be called in eager mode only, or where one level of derivatives is taken.
    """
    if _single_level_class is None:
        return function.apply
    return cast("Any", super(torch.autograd.Function, function)).apply


def below_autograd() -> contextlib.AbstractContextManager[Any]:
    """Return a context in which operators go to the kernels below the derivatives of one level.

    The transforms of torch.func nest: below the level of one are the derivatives of the next, which need both
    directions enabled. The forward of a function runs with both disabled.
    """
    if any(found is None for found in _ONE_LEVEL):
        return contextlib.nullcontext()
    return _below_one_level() if in_transform() else _below()


@contextlib.contextmanager
def _below_one_level() -> Generator[None]:
    with _below(), torch.enable_grad(), _enable_forward(True):
        yield


_INDUCTOR = "torch._inductor.lowering", "torch._inductor.decomposition", "torch._library.utils"


_pending: dict[Any, Callable[..., Any]] = {}


def add_decomposition(operator: Any, function: Callable[..., Any]) -> None:
    """Let inductor call a function in place of an operator, once `load_decompositions` was called.

    The function returns NotImplemented where the operator has to stay. By the fallback it stays everywhere.
    """
    _pending[operator] = function


def load_decompositions() -> None:
    """Pass the decompositions to inductor; called while code is traced, before inductor copies its tables.

    Inductor is loaded for it, which takes seconds once, and which its own first use would do.
    """
    if not _pending:
        return
    added = _pending.copy()
    _pending.clear()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch loads what it deprecates
        tables = _decompositions()
    if not tables:
        return
    lowering, _, utils = map(importlib.import_module, _INDUCTOR)
    for operator, function in added.items():
        strides = lowering.tag_to_layout_constraint(utils.get_layout_constraint_tag(operator))
        # Inductor expects an operator to have a decomposition or to be called, not both.
        lowering.make_fallback(operator, layout_constraint=strides, warn=False, override_decomp=True)
        for table in tables:
            table[operator] = function


@functools.cache
def _decompositions() -> tuple[dict[Any, Any], ...]:
    """Return the tables of inductor: its own, and the copy that it made."""
    needed = ("make_fallback", "tag_to_layout_constraint"), ("decompositions", "fast_random_decomps")
    names = *needed, ("get_layout_constraint_tag",)
    found = [_find(module, name) for module, each in zip(_INDUCTOR, names, strict=True) for name in each]
    if any(each is None for each in found):
        return ()
    return found[2], found[3]()


def register_derivatives(
    library: torch.library.Library,
    name: str,
    function: type[torch.autograd.Function],
    filled: Callable[[tuple[Any, ...]], tuple[Any, ...]],
) -> Callable[..., Any]:
    """Let the derivatives of an operator of thinnet be those of a function; return how to call the operator.

    Parameters
    ----------
    library : Library
        Where the operator is defined.
    name : str
        Its name, without the namespace.
    function : subclass of torch.autograd.Function
        Its `forward` calls the operator inside `below_autograd()`; it has `setup_context`, `backward`, `jvp`
        and `vmap`, and takes all arguments of the operator by position.
    filled : function
        Completes a tuple of arguments: the dispatcher omits trailing ones that equal their defaults.

    Returns
    -------
    function
        The operator as `function` derives it, of any order and in both directions, under every transform.
    """
    operator = getattr(torch.ops.thinnet, name).default
    if any(found is None for found in (*_ONE_LEVEL, _forward_level)):
        return _registered_publicly(f"thinnet::{name}", operator, library, function)
    apply = cast("Any", _on_one_level(function)).apply

    def derive(*inputs: Any) -> Any:
        needed = torch.is_grad_enabled() and any(isinstance(x, Tensor) and x.requires_grad for x in inputs)
        if not needed and _dual._current_level < 0:  # as compiled code calls it
            with _below():
                return operator(*inputs)
        # A transform of torch.func peels off one level and comes here: this is the work of that level alone.
        with _single_level():
            return apply(*filled(inputs))

    library.impl(name, derive, "Autograd")
    return operator


def _on_one_level(function: type[torch.autograd.Function]) -> type:
    """Return a class with the methods of a function whose `apply` takes the derivatives of one level alone.

    The transforms of torch.func build such classes for each call. Since 2.14 `torch.autograd.Function.apply`
    sends every call inside a transform back to the outermost level, whichever way it is reached.
    """
    names = "forward", "setup_context", "backward", "jvp", "_compiled_autograd_key"
    methods = {name: staticmethod(getattr(function, name)) for name in names if hasattr(function, name)}
    return type(f"{function.__name__}OfOneLevel", (_single_level_class,), methods)


def _registered_publicly(
    qualified: str, operator: Any, library: torch.library.Library, function: Any
) -> Callable[..., Any]:
    register: Any = cast("Any", torch.library).register_autograd
    register(qualified, function.backward, setup_context=function.setup_context, lib=library)

    def call(*inputs: Any) -> Any:
        # Compilers and tracers see through the operator, but not through every function.
        if torch.compiler.is_compiling() or _jit.is_tracing():
            return operator(*inputs)
        return function.apply(*inputs)

    return call


_WRAPPERS = (
    frozenset() if FORCED else frozenset({"_orig_mod", "_checkpoint_wrapped_module", "_fsdp_wrapped_module"})
)


def is_wrapper(module: torch.nn.Module, child: str) -> bool:
    """Return whether a module, as `torch.compile` returns, does no more than hold the child of that name."""
    if child in _WRAPPERS:
        return True
    package, _, rest = type(module).__module__.partition(".")
    return child.startswith("_") and package == "torch" and not rest.startswith("nn.")


class Convertible(torch.nn.Module):
    """A module that knows when it is moved to a dtype or device: `converting()` surrounds the move."""

    def converting(self) -> contextlib.AbstractContextManager[None]:
        """Return a context for the move."""
        return contextlib.nullcontext()

    if not FORCED and hasattr(torch.nn.Module, "_apply"):

        def _apply(self, fn: Any, recurse: bool = True) -> Any:
            with self.converting():
                return super()._apply(fn, recurse)

    else:
        MISSING.append("torch.nn.Module._apply")


DispatchMode: Any = _dispatch_mode or object
"""The base of a class whose `__torch_dispatch__` sees every operator; plain `object` where there is none."""


def schema_of(operator: Any) -> Any:
    """Return the schema of an operator: its `name` and its `arguments`, each with a `name`."""
    return operator._schema
