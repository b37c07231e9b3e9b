"""Training steps of PyTorch on GPT-2 124M as examples/gpt2_124m_random.toml has it. Usage: torch_gpt2.py eager|compiled LENGTH THREADS

Runs from PyTorch 1.13 (Debian 12's) on; what a version lacks of fused attention and fused AdamW it makes of plain operators.
Answers each line of its input with "SECONDS LOSS ANONYMOUS_BYTES_AT_MOST VERSION" of one step. The weights are drawn in the order in
which nanoGPT's program draws them, so that the losses are those of ours.
"""
import inspect
import sys
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

from attention import attention

HOW, LENGTH, THREADS = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
LAYERS, HEADS, WIDTH, CONTEXT, BATCH, VOCAB = 12, 12, 768, 1024, 4, 50257


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm1 = nn.LayerNorm(WIDTH)
        self.qkv, self.attention_out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.norm2 = nn.LayerNorm(WIDTH)
        self.up, self.down = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, x):
        b, t, c = x.shape
        q, k, v = (y.view(b, t, HEADS, c // HEADS).transpose(1, 2) for y in self.qkv(self.norm1(x)).split(c, dim=2))
        y = attention(q, k, v).transpose(1, 2).reshape(b, t, c)
        x = x + self.attention_out(y)
        return x + self.down(F.gelu(self.up(self.norm2(x))))


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.tokens, self.places = nn.Embedding(VOCAB, WIDTH), nn.Embedding(CONTEXT, WIDTH)
        self.blocks = nn.ModuleList(Block() for _ in range(LAYERS))
        self.norm = nn.LayerNorm(WIDTH)
        self.head = nn.Linear(WIDTH, VOCAB, bias=False)
        self.tokens.weight = self.head.weight
        for module in self.modules():
            if isinstance(module, (nn.Linear, nn.Embedding)):
                nn.init.normal_(module.weight, std=0.02)
            if isinstance(module, nn.Linear) and module.bias is not None:
                nn.init.zeros_(module.bias)
        for block in self.blocks:
            for linear in (block.attention_out, block.down):
                nn.init.normal_(linear.weight, std=0.02 / (2 * LAYERS) ** 0.5)

    def forward(self, x, y):
        h = self.tokens(x) + self.places(torch.arange(x.shape[1]))
        for block in self.blocks:
            h = block(h)
        return F.cross_entropy(self.head(self.norm(h)).view(-1, VOCAB), y.view(-1))


def anonymous_bytes_at_most():
    with open("/proc/self/status") as lines:
        kib = {line.split(":")[0]: int(line.split()[1]) for line in lines if line.startswith(("VmHWM", "RssFile"))}
    return 1024 * (kib["VmHWM"] - kib["RssFile"])


if HOW == "compiled" and not hasattr(torch, "compile"):
    sys.exit(f"torch {torch.__version__} has no torch.compile")
torch.set_num_threads(THREADS)
torch.manual_seed(1337)
model = Model()
fused = {"fused": True} if "fused" in inspect.signature(torch.optim.AdamW).parameters else {}
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01, **fused)
x = torch.randint(VOCAB, (BATCH, LENGTH))
y = torch.randint(VOCAB, (BATCH, LENGTH))
forward = torch.compile(model) if HOW == "compiled" else model
for _ in sys.stdin:
    start = time.perf_counter()
    loss = forward(x, y)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
    print(time.perf_counter() - start, loss.item(), anonymous_bytes_at_most(), f"torch {torch.__version__} {HOW}", flush=True)
