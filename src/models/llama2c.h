// llama2.c's model file, version 0:
//
//   offset  size  content (little-endian)
//   0       28    int32 x 7: dim, hidden_dim, n_layers, n_heads, n_kv_heads, vocab_size (negative: the output matrix follows), seq_len
//   28      4 each  float32: token embedding [V, C]; then for all layers in turn: attention norms [L, C], wq [L, C, C], wk and wv
//                 [L, G*D, C], wo [L, C, C], ffn norms [L, C], w1 [L, F, C], w2 [L, C, F], w3 [L, F, C]; final norm [C]; two tables
//                 of rotary angles [seq_len, D/2] that are not used; the output matrix [V, C] when vocab_size is negative
//
// Its rotary pairs are neighbours; the rows of wq and wk are reordered so that pair i is (i, i + D/2), Hugging Face's layout.
#pragma once

#include <memory>
#include <string>

#include "models/model.h"

namespace bgl::models {

Result<std::unique_ptr<Model>> load_llama2c(const std::string& path);

}  // namespace bgl::models
