"""Tokens per second of PyTorch on the character model of examples/shakespeare_char.toml. Usage: torch_char.py THREADS

Runs from PyTorch 1.13 (Debian 12's) on: without fused attention, of plain operators; without torch.compile, eager."""
import json
import math
import sys
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

from attention import attention

torch.set_num_threads(int(sys.argv[1]))
torch.manual_seed(1)
LAYERS, HEADS, WIDTH, BLOCK, BATCH, VOCAB = 4, 4, 128, 64, 12, 65


class Norm(nn.Module):
    """nn.LayerNorm(WIDTH, bias=False), which old versions lack."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(WIDTH))

    def forward(self, x):
        return F.layer_norm(x, (WIDTH,), self.weight)


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm1, self.norm2 = Norm(), Norm()
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH, bias=False), nn.Linear(WIDTH, WIDTH, bias=False)
        self.up, self.down = nn.Linear(WIDTH, 4 * WIDTH, bias=False), nn.Linear(4 * WIDTH, WIDTH, bias=False)

    def forward(self, x):
        b, t, c = x.shape
        q, k, v = (y.view(b, t, HEADS, c // HEADS).transpose(1, 2) for y in self.qkv(self.norm1(x)).split(c, dim=2))
        y = attention(q, k, v).transpose(1, 2).reshape(b, t, c)
        x = x + self.out(y)
        return x + self.down(F.gelu(self.up(self.norm2(x))))


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.tokens, self.places = nn.Embedding(VOCAB, WIDTH), nn.Embedding(BLOCK, WIDTH)
        self.blocks = nn.ModuleList(Block() for _ in range(LAYERS))
        self.norm = Norm()

    def forward(self, x, y):
        h = self.tokens(x) + self.places(torch.arange(x.shape[1]))
        for block in self.blocks:
            h = block(h)
        logits = F.linear(self.norm(h), self.tokens.weight)
        return F.cross_entropy(logits.view(-1, VOCAB), y.view(-1))


def rate(forward, model, seconds):
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.99))
    times, end = [], time.time() + seconds
    while time.time() < end or len(times) < 5:
        x, y = torch.randint(VOCAB, (BATCH, BLOCK)), torch.randint(VOCAB, (BATCH, BLOCK))
        start = time.time()
        loss = forward(x, y)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        times.append(time.time() - start)
    return BATCH * BLOCK / sorted(times[2:])[len(times[2:]) // 2]


model = Model()
best, how = rate(model, model, 4), "eager"
try:
    compiled = torch.compile(model)
    compiled(torch.randint(VOCAB, (BATCH, BLOCK)), torch.randint(VOCAB, (BATCH, BLOCK))).backward()
    fast = rate(compiled, model, 4)
    if fast > best:
        best, how = fast, "compiled"
except Exception as error:  # no compiler on this machine: eager counts
    print("torch.compile:", str(error)[:80], file=sys.stderr)
print(json.dumps({"peer": f"torch {torch.__version__} ({how})", "tokens_per_s": best}))
