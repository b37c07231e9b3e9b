// A context-free grammar over bytes, and what a model may write under it. The pushdown follows all ways to read the text at once; a
// token is allowed when its bytes can be followed, and when the rest of the answer leaves room to come to an end. So whatever the
// model draws, the text that comes out is whole.
#pragma once

#include <bitset>
#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "text/tokenizers/tokenizer.h"

namespace bgl::serve {

using ByteSet = std::bitset<256>;

// Rules are numbered from 0, which is where a text begins. A Pushdown wants a grammar that is not left_recursive().
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

 private:
  friend class Pushdown;
  std::vector<std::vector<std::vector<Symbol>>> rules_;  // alternatives by rule
  std::vector<ByteSet> sets_;
  size_t symbols_ = 0;
};

// The bytes of a tokenizer's tokens in byte order; made once a model. Marks and tokens without bytes are left out.
class ByteVocabulary {
 public:
  explicit ByteVocabulary(const text::Tokenizer& tokenizer);
  struct Entry {
    std::string bytes;
    int32_t token;
    size_t shared;  // bytes it begins with that the entry before begins with too
  };
  const std::vector<Entry>& entries() const { return entries_; }
  const std::string* bytes_of(int32_t token) const;
  bool writes(unsigned char byte) const { return single_[byte]; }  // a token of this byte alone exists

 private:
  std::vector<Entry> entries_;
  std::unordered_map<int32_t, size_t> by_token_;
  ByteSet single_;
};

// Where a text stands in a grammar. Single-threaded.
class Pushdown {
 public:
  static constexpr int64_t kNever = std::numeric_limits<int32_t>::max();
  // Tokens that an end takes at most are counted by bytes that `vocabulary` has alone.
  Pushdown(std::shared_ptr<const Grammar> grammar, std::shared_ptr<const ByteVocabulary> vocabulary);

  // So many tokens end the text from here; kNever: the vocabulary lacks a byte that every end needs.
  int64_t tokens_to_end() const { return cost(state_); }
  // The text may end here; and: nothing else can follow.
  bool may_end() const { return state_.accepts; }
  bool must_end() const { return state_.accepts && state_.stacks.empty(); }
  // Makes logits of what may not come -infinity. `left`: tokens that may still be drawn, this one included. `ends`: tokens that end the
  // text, allowed where it may end.
  void mask(std::span<float> logits, int64_t left, std::span<const int32_t> ends);
  // False: the token does not fit here; nothing has changed then.
  bool take(int32_t token);

 private:
  // A place in an alternative, and what comes after its rule; 0: nothing.
  struct Node {
    uint32_t place, below;
    int64_t cost;
  };
  struct State {
    std::vector<uint32_t> stacks;  // nodes whose place is a set of bytes, sorted
    bool accepts = false;
  };
  struct Allowed {
    int32_t token;
    int64_t cost;  // tokens_to_end() after it
  };

  void lay_out(const Grammar& grammar);
  void push(State& state, uint32_t place, uint32_t below);
  uint32_t node(uint32_t place, uint32_t below);
  State step(const State& state, unsigned char byte);
  int64_t cost(const State& state) const;
  const std::vector<Allowed>& allowed();

  std::shared_ptr<const Grammar> grammar_;
  std::shared_ptr<const ByteVocabulary> vocabulary_;
  // The grammar laid out: a place is a symbol of an alternative, or the end of one.
  struct Place {
    enum class Kind : uint8_t { kBytes, kRule, kEnd } kind;
    uint32_t index;
    int64_t cost;  // tokens from here to the end of the alternative
  };
  std::vector<Place> places_;
  std::vector<std::vector<uint32_t>> alternatives_;  // first places by rule
  std::vector<Node> nodes_;
  std::unordered_map<uint64_t, uint32_t> node_of_;
  std::unordered_map<std::string, std::vector<Allowed>> allowed_of_;  // by state
  State state_;
};

}  // namespace bgl::serve
