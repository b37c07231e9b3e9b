// A context-free grammar over bytes, and the tokens of a vocabulary as bytes. automaton.h says what a model may write under the one with the other.
#pragma once

#include <bitset>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizers/tokenizer.h"

namespace bgl::serve {

using ByteSet = std::bitset<256>;

// Rules are numbered from 0, which is where a text begins. An Automaton wants a grammar that is not left_recursive().
class Grammar {
 public:
  struct Symbol {
    bool is_rule = false;
    uint32_t index = 0;  // of a rule, or of a set of bytes
  };
  static Symbol rule(uint32_t index) { return {true, index}; }
  uint32_t add_rule();
  void add_alternative(uint32_t rule, std::span<const Symbol> symbols);
  Symbol bytes(const ByteSet& set);
  // One symbol a byte.
  std::vector<Symbol> literal(std::string_view text);
  size_t size() const { return symbols_; }  // of all alternatives
  // A rule begins with itself, so that following it would not end.
  bool left_recursive() const;
  // Some text that holds to it comes to an end.
  bool finite() const;

 private:
  friend class Automaton;
  // The rules that can be made of such rules alone, and with `bytes` of bytes.
  std::vector<bool> made(bool bytes) const;
  std::vector<std::vector<std::vector<Symbol>>> rules_;  // alternatives by rule
  std::vector<ByteSet> sets_;
  size_t symbols_ = 0;
};

// The bytes of a tokenizer's tokens in byte order; made once a model. Marks and tokens without bytes are left out.
class ByteVocabulary {
 public:
  explicit ByteVocabulary(const text::Tokenizer& tokenizer);
  struct Entry {
    uint32_t begin, size;  // in the bytes of all
    uint32_t shared;       // bytes it begins with that the entry before begins with too
    int32_t token;
  };
  const std::vector<Entry>& entries() const { return entries_; }
  std::string_view bytes(const Entry& e) const { return std::string_view(all_).substr(e.begin, e.size); }
  // Empty for a token that is no entry.
  std::string_view bytes_of(int32_t token) const;
  bool writes(unsigned char byte) const { return single_[byte]; }  // a token of this byte alone exists
  int64_t tokens() const { return static_cast<int64_t>(by_token_.size()); }  // ids are below

 private:
  std::string all_;
  std::vector<Entry> entries_;
  std::vector<int32_t> by_token_;  // its entry, or -1
  ByteSet single_;
};

}  // namespace bgl::serve
