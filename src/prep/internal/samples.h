// A few documents of each kind, chosen by the hash of their ids: the same whatever the order they came in.
#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "prep/internal/unit.h"

namespace bgl::prep {

class Samples {
 public:
  explicit Samples(size_t most) : most_(most) {}
  // Whether a document of this kind and order would be kept: saves making the sample.
  bool wants(const std::string& kind, uint64_t order) const {
    const auto it = kinds_.find(kind);
    return it == kinds_.end() || it->second.size() < most_ || order < it->second.back().order;
  }
  void add(const std::string& kind, Sample sample) {
    std::vector<Sample>& list = kinds_[kind];
    const auto at = std::upper_bound(list.begin(), list.end(), sample, [](const Sample& a, const Sample& b) {
      return a.order != b.order ? a.order < b.order : a.id < b.id;
    });
    list.insert(at, std::move(sample));
    if (list.size() > most_) list.pop_back();
  }
  const std::map<std::string, std::vector<Sample>>& kinds() const { return kinds_; }

 private:
  const size_t most_;
  std::map<std::string, std::vector<Sample>> kinds_;
};

}  // namespace bgl::prep
