"""PyTorch's fused attention on 12 heads, 512 positions, 64 wide (of plain operators before PyTorch 2.0). Usage: torch_attention.py THREADS

Answers each line "causal" or "full" with "FORWARD_SECONDS BACKWARD_SECONDS VERSION": the least of a few calls each.
"""
import sys
import time

import torch
import torch.nn.functional as F


def attention(q, k, v, causal):
    if hasattr(F, "scaled_dot_product_attention"):
        return F.scaled_dot_product_attention(q, k, v, is_causal=causal)
    scores = (q @ k.transpose(2, 3)) * 64 ** -0.5
    if causal:
        scores = scores.masked_fill(torch.ones(512, 512, dtype=torch.bool).triu(1), float("-inf"))
    return scores.softmax(-1) @ v


torch.set_num_threads(int(sys.argv[1]))
q, k, v = (torch.rand(1, 12, 512, 64).requires_grad_() for _ in range(3))
g = torch.rand(1, 12, 512, 64)
for line in sys.stdin:
    forward = backward = 1e9
    for _ in range(6):
        start = time.perf_counter()
        out = attention(q, k, v, line.strip() == "causal")
        middle = time.perf_counter()
        out.backward(g)
        backward = min(backward, time.perf_counter() - middle)
        forward = min(forward, middle - start)
        q.grad = k.grad = v.grad = None
    print(forward, backward, f"torch {torch.__version__}", flush=True)
