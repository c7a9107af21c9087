"""How a foreign model turns its residual state into logits, found by trying and kept only if it comes out right.

nostalgebraist 2020, "interpreting GPT: the logit lens".
"""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from models.trace import ModelTrace

Step = Callable[[Tensor], Tensor]


def _close(a: Any, b: Tensor) -> bool:
    """Same shape and the same numbers, as near as the dtype the model computes in allows."""
    if not isinstance(a, Tensor) or a.shape != b.shape:
        return False
    tolerance = 1e-4 if a.dtype == torch.float32 else 3e-2
    return torch.allclose(a.float(), b, rtol=tolerance, atol=tolerance * b.abs().max().item())


def _identity(x: Tensor) -> Tensor:
    return x


def _last_norms(model: Any, d_model: int) -> Iterator[Step]:
    """What may stand between the last layer and the head: nothing, or a child with one number a dimension."""
    yield _identity
    base = model.get_decoder() if model.config.is_encoder_decoder else model.base_model
    for child in base.modules():
        own = list(child.parameters(recurse=False))
        if own and all(parameter.shape == (d_model,) for parameter in own):
            yield child


def _heads(model: Any) -> Iterator[Step]:
    """What may turn the final state into logits: a named head, or the output embedding alone (T5 shrinks first)."""
    for name in ("cls", "lm_head", "predictions", "generator_lm_head", "embed_out"):
        if isinstance(head := getattr(model, name, None), nn.Module):
            yield head
    if (output := model.get_output_embeddings()) is not None:
        yield output
        yield lambda x: output(x * x.shape[-1] ** -0.5)


def _first(steps: Iterator[Step], given: Tensor, wanted: Tensor) -> Step | None:
    for step in steps:
        try:
            if _close(step(given), wanted):
                return step
        except (RuntimeError, TypeError, AttributeError, IndexError):
            continue  # a module that takes something else was not the one
    return None


@torch.inference_mode()
def find_read_out(model: Any, trace: ModelTrace) -> Step | None:
    """The road from a residual state to logits that reproduces a traced pass, or None if there is none.

    Args:
        trace: a pass of the model with its hidden states, final state and logits.
    """
    if trace.logits is None:
        return None
    hidden, final = (state.to(model.device, model.dtype) for state in (trace.hidden[-1], trace.final))
    norm = _first(_last_norms(model, final.shape[-1]), hidden, trace.final)
    head = _first(_heads(model), final, trace.logits)
    if norm is None or head is None:
        return None
    return lambda x: head(norm(x))
