"""What a traced model shows, computed again by PyTorch's and the libraries' own functions; once for all visitors."""

import torch
from torch import Tensor
from torch.nn import functional as F

from app import compute
from app.frame import Proof
from models import bert, heads, transformer
from models.bert import BertEncoder
from models.head_effect import by_pytorch
from models.small_gpt import SmallGPT
from models.trace import Encoding, ModelTrace, TracedModel

EXACT = 1e-4
HALF = 3e-2  # foreign weights are computed in 16 bits, as they are stored


def proofs(name: str, encoding: Encoding) -> tuple[Proof, ...]:
    """Every proof that a model and its trace of this text allow."""
    return compute.run(_proofs, name, encoding)


@torch.no_grad()
def _proofs(name: str, encoding: Encoding) -> tuple[Proof, ...]:
    model, trace = compute.model(name), compute.trace(name, encoding)
    own = isinstance(model, BertEncoder | SmallGPT)
    rows = max(_apart(layer.attention.weights.sum(-1), torch.tensor(1.0)) for layer in trace.layers)
    found = [Proof("Each row's sum, in every layer and head", "1", rows, 1e-5 if own else HALF, (heads.measure_heads,))]
    if own:
        found += _attention(model, trace)
    if isinstance(model, SmallGPT):
        found += _decoding(model, trace)
    elif not own and model.kind == "causal" and trace.logits is not None:
        found.append(_library(model, trace))
    return tuple(found)


def _apart(ours: Tensor, theirs: Tensor) -> float:
    return float((ours - theirs.to(ours.device)).abs().max())


def _attention(model: TracedModel, trace: ModelTrace) -> list[Proof]:
    """Every layer's attention by PyTorch's fused function and by its multi-head module."""
    n = len(trace.encoding.ids)
    allowed = torch.ones(n, n, dtype=torch.bool, device=trace.final.device).tril() if model.kind == "causal" else None
    fused = plain = 0.0
    for at, layer in enumerate(trace.layers):
        part = layer.attention
        assert part.q is not None and part.k is not None and part.v is not None and part.output is not None  # noqa: PT018
        assert layer.normed_in is not None and layer.attn_out is not None  # noqa: PT018
        fused = max(fused, _apart(part.output, F.scaled_dot_product_attention(part.q, part.k, part.v, allowed)))
        weights = (
            bert.layer_weights(model, at)
            if isinstance(model, BertEncoder)
            else transformer.layer_weights(model.model, at)  # type: ignore[attr-defined]
        )
        plain = max(plain, _apart(layer.attn_out, by_pytorch(layer.normed_in, weights, allowed)[0]))
    return [
        Proof("Every head's output", "torch.nn.functional.scaled_dot_product_attention", fused, EXACT),
        Proof("What every layer's attention adds", "torch.nn.MultiheadAttention", plain, EXACT, (by_pytorch,)),
    ]


def _decoding(model: SmallGPT, trace: ModelTrace) -> list[Proof]:
    """The traced logits and those of cached decoding, token by token, against the plain forward pass."""
    assert trace.logits is not None
    plain, cache, steps = model.logits(trace.encoding.ids), None, []
    for token in trace.encoding.ids:
        one, cache = model.step([token], cache)
        steps.append(one)
    return [
        Proof("The traced logits", "the plain forward pass", _apart(trace.logits, plain), 1e-3, (transformer.trace_gpt,)),
        Proof("Decoding with a cache, token by token", "the plain forward pass", _apart(torch.cat(steps), plain), 1e-3,
              (transformer.step,)),
    ]  # fmt: skip


def _library(model: TracedModel, trace: ModelTrace) -> Proof:
    """A foreign model's logits against a plain call of the library, nothing recorded."""
    theirs = model.model  # type: ignore[attr-defined]
    with torch.inference_mode():
        logits = (
            theirs(torch.tensor([list(trace.encoding.ids)], device=theirs.device), use_cache=False).logits[0].float()
        )
    assert trace.logits is not None
    return Proof("The traced logits", f"transformers.{type(theirs).__name__}", _apart(trace.logits, logits), HALF)
