"""PyTorch's fused attention on 12 heads, 512 positions, 64 wide. Usage: torch_attention.py THREADS

Answers each line "causal" or "full" with "FORWARD_SECONDS BACKWARD_SECONDS VERSION": the least of a few calls each.
"""
import sys
import time

import torch
import torch.nn.functional as F

torch.set_num_threads(int(sys.argv[1]))
q, k, v = (torch.rand(1, 12, 512, 64).requires_grad_() for _ in range(3))
g = torch.rand(1, 12, 512, 64)
for line in sys.stdin:
    forward = backward = 1e9
    for _ in range(6):
        start = time.perf_counter()
        out = F.scaled_dot_product_attention(q, k, v, is_causal=line.strip() == "causal")
        middle = time.perf_counter()
        out.backward(g)
        backward = min(backward, time.perf_counter() - middle)
        forward = min(forward, middle - start)
        q.grad = k.grad = v.grad = None
    print(forward, backward, f"torch {torch.__version__}", flush=True)
