"""Logits of Llama and Qwen2 folders by PyTorch, in float64, written from the families' definitions: a second opinion for models_test.

Usage: torch_families.py ID,ID,... DIR...     writes each folder's logits [T, V] to DIR/logits as float64
"""
import json
import math
import os
import sys

import torch
from safetensors.torch import load_file


class Family:
    def __init__(self, directory):
        with open(os.path.join(directory, "config.json"), encoding="utf-8") as f:
            self.config = json.load(f)
        self.weights = {}
        for name in sorted(os.listdir(directory)):
            if name.endswith(".safetensors"):
                self.weights.update(load_file(os.path.join(directory, name)))
        self.weights = {name: tensor.to(torch.float64) for name, tensor in self.weights.items()}
        if self.config["tie_word_embeddings"]:
            self.weights["lm_head.weight"] = self.weights["model.embed_tokens.weight"]
        self.heads, self.groups = self.config["num_attention_heads"], self.config["num_key_value_heads"]
        self.width = self.config.get("head_dim", self.config["hidden_size"] // self.heads)

    def linear(self, name, x):
        return torch.nn.functional.linear(x, self.weights[name + ".weight"], self.weights.get(name + ".bias"))

    def norm(self, name, x):
        return torch.nn.functional.rms_norm(x, (x.shape[-1],), self.weights[name + ".weight"], self.config["rms_norm_eps"])

    def frequencies(self):
        f = self.config["rope_theta"] ** (-torch.arange(0, self.width, 2, dtype=torch.float64) / self.width)
        scaling = self.config.get("rope_scaling")
        if not scaling:
            return f
        if scaling["rope_type"] == "linear":
            return f / scaling["factor"]
        low, high = scaling["low_freq_factor"], scaling["high_freq_factor"]
        share = (scaling["original_max_position_embeddings"] * f / (2 * math.pi) - low) / (high - low)
        return torch.lerp(f / scaling["factor"], f, share.clamp(0, 1))

    def rotate(self, x):
        """x[heads, T, D]: its pairs turn as complex numbers."""
        pairs = torch.complex(x[..., : self.width // 2].contiguous(), x[..., self.width // 2 :].contiguous())
        angles = torch.outer(torch.arange(x.shape[1], dtype=torch.float64), self.frequencies())
        turned = pairs * torch.polar(torch.ones_like(angles), angles)
        return torch.cat([turned.real, turned.imag], -1)

    def attention(self, name, x):
        split = lambda part, heads: self.linear(f"{name}.{part}", x).unflatten(-1, (heads, self.width)).transpose(0, 1)
        q, k, v = self.rotate(split("q_proj", self.heads)), self.rotate(split("k_proj", self.groups)), split("v_proj", self.groups)
        k, v = (t.repeat_interleave(self.heads // self.groups, 0) for t in (k, v))
        y = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.linear(name + ".o_proj", y.transpose(0, 1).flatten(1))

    def mlp(self, name, x):
        gated = torch.nn.functional.silu(self.linear(name + ".gate_proj", x)) * self.linear(name + ".up_proj", x)
        return self.linear(name + ".down_proj", gated)

    def logits(self, ids):
        x = self.weights["model.embed_tokens.weight"][ids]
        for i in range(self.config["num_hidden_layers"]):
            at = f"model.layers.{i}"
            x = x + self.attention(at + ".self_attn", self.norm(at + ".input_layernorm", x))
            x = x + self.mlp(at + ".mlp", self.norm(at + ".post_attention_layernorm", x))
        return self.linear("lm_head", self.norm("model.norm", x))


torch.set_num_threads(1)  # the models are tiny
for folder in sys.argv[2:]:
    with open(os.path.join(folder, "logits"), "wb") as out:
        out.write(Family(folder).logits(torch.tensor([int(i) for i in sys.argv[1].split(",")])).contiguous().numpy().tobytes())
