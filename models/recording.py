"""Looking into a foreign model's attention while it runs, without changing the model for anybody else.

``transformers`` lets a model compute attention by a function that is registered under a name. Ours runs the
architecture's own eager function and, if the current thread asked for it, keeps what went in and came out. The wish
lives in a context variable, never on the model: two visitors can trace one model at the same time.
"""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from models.attention import AttentionTrace

NAME = "attention_lab"


@dataclass(frozen=True)
class AttentionCall:
    """One attention call as the architecture made it; Q and K after any rotation, K and V before any repetition.

    An architecture that does not let a function of ours compute its attention reports the weights alone.
    """

    weights: Tensor  # [head, query, key]
    q: Tensor | None = None  # [head, query, d_k]
    k: Tensor | None = None  # [key-value head, key, d_k]
    v: Tensor | None = None  # [key-value head, key, d_v]
    scale: float = 1.0
    bias: Tensor | None = None  # additive, broadcasts to [head, query, key]: the mask, and T5's relative positions

    @property
    def shared(self) -> int:
        """How many query heads share one key-value head; 1 without grouping."""
        return 1 if self.q is None or self.k is None else self.q.shape[0] // self.k.shape[0]


@dataclass
class Recording:
    """What one forward pass left behind, in the order in which it happened."""

    off: Mapping[int, list[int]] = field(default_factory=dict)  # which call -> heads that contribute zeros
    calls: list[AttentionCall] = field(default_factory=list)
    blocks: list[tuple[Tensor, Tensor]] = field(default_factory=list)  # the residual stream into and out of a layer
    modules: list[nn.Module] = field(default_factory=list)  # which module made each call


_current: ContextVar[Recording | None] = ContextVar("attention_recording", default=None)


@contextmanager
def recording(off: Mapping[int, list[int]] | None = None) -> Iterator[Recording]:
    """Record every attention call of the current thread inside the ``with`` block."""
    wish = Recording(off or {})
    token = _current.set(wish)
    try:
        yield wish
    finally:
        _current.reset(token)


def _eager_of(module: nn.Module) -> Callable[..., tuple[Tensor, Tensor]]:
    """The eager attention function of the file that defines the module."""
    for ancestor in type(module).__mro__:
        if eager := getattr(sys.modules[ancestor.__module__], "eager_attention_forward", None):
            return eager
    raise NotImplementedError(f"{type(module).__name__} has no eager attention function")


def _bias(positions: Tensor | None, mask: Tensor | None) -> Tensor | None:
    """What is added to the scaled scores: [1, head or 1, query, key] each -> one in float32 without the first axis.

    A mask holds its dtype's most negative number where a query may not look; in the formula that is −∞.
    """
    parts = [] if positions is None else [positions[0].float()]
    if mask is not None:
        parts.append(mask[0].float().masked_fill(mask[0] <= torch.finfo(mask.dtype).min, -torch.inf))
    return sum(parts[1:], parts[0]) if parts else None


def _recording_attention(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **options: Any
) -> tuple[Tensor, Tensor]:
    """What transformers calls: Q [1, head, query, d_k], K and V [1, key-value head, key, d] -> output, weights."""
    output, weights = _eager_of(module)(module, query, key, value, attention_mask, **options)
    wish = _current.get()
    if wish is None:
        return output, weights
    given = options.get("scaling")
    scale = query.shape[-1] ** -0.5 if given is None else float(given)
    bias = _bias(options.get("position_bias"), attention_mask)
    off = wish.off.get(len(wish.calls), [])
    wish.calls.append(AttentionCall(weights[0], query[0], key[0], value[0], scale, bias))
    wish.modules.append(module)
    if off:
        output = output.clone()
        output[:, :, off] = 0.0  # [1, query, head, d_v], before the heads are joined and projected
    return output, weights


def _record_block(_: nn.Module, args: tuple, kwargs: dict[str, Any], output: Any) -> None:
    wish = _current.get()
    if wish is not None:
        into = args[0] if args else kwargs["hidden_states"]
        wish.blocks.append((into[0], (output if isinstance(output, Tensor) else output[0])[0]))


def open_model(model: nn.Module) -> None:
    """Make a freshly loaded transformers model recordable. Done once, before anyone shares it."""
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import eager_mask

    AttentionInterface.register(NAME, _recording_attention)
    AttentionMaskInterface.register(NAME, eager_mask)
    if model._can_set_attn_implementation():  # type: ignore[operator]
        model.set_attn_implementation(NAME)  # type: ignore[operator]


def watch_blocks(model: nn.Module, modules: list[nn.Module], n_layer: int) -> None:
    """Record the residual stream around the layers, also done once.

    They are what holds the given attention modules or, where those are not known, the last list of ``n_layer`` modules.
    """
    if not modules:
        stacks = [stack for stack in model.modules() if isinstance(stack, nn.ModuleList) and len(stack) == n_layer]
        for block in stacks[-1] if stacks else []:
            block.register_forward_hook(_record_block, with_kwargs=True)
        return
    names = {id(module): name for name, module in model.named_modules()}
    blocks: dict[str, None] = {}  # in order, each once
    for module in modules:
        parts = names[id(module)].split(".")
        number = next((place for place, part in enumerate(parts) if part.isdigit()), None)
        if number is not None:
            blocks[".".join(parts[: number + 1])] = None
    for name in blocks:
        model.get_submodule(name).register_forward_hook(_record_block, with_kwargs=True)


def as_trace(call: AttentionCall, *, stages: bool = True) -> AttentionTrace:
    """A recorded call under the formula's names, in float32, key-value heads repeated for the queries that share them.

    Args:
        stages: whether the scores are shown; False where the architecture does more to them than scale and add.
    """
    weights = call.weights.float()
    if call.q is None or call.k is None or call.v is None:
        return AttentionTrace(weights)
    q = call.q.float()
    k, v = (part.float().repeat_interleave(call.shared, dim=0) for part in (call.k, call.v))
    if not stages:
        return AttentionTrace(weights, q, k, v, output=weights @ v)
    scores = q @ k.transpose(-2, -1)
    scaled = scores * call.scale
    masked = scaled if call.bias is None else scaled + call.bias
    return AttentionTrace(weights, q, k, v, scores, scaled, masked, weights @ v)
