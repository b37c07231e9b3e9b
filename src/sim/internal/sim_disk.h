// The disk of SimEnv: a tree of nodes, each with the bytes a process sees and the bytes that would survive.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace bgl::sim {

// splitmix64: enough randomness for coins, the same everywhere.
class SimRandom {
 public:
  explicit SimRandom(uint64_t seed) : state_(seed) {}
  uint64_t next();
  bool coin() { return next() >> 63; }
  int64_t below(int64_t n) { return static_cast<int64_t>(next() % static_cast<uint64_t>(n)); }

 private:
  uint64_t state_;
};

using NodeId = int64_t;
constexpr NodeId kNoNode = -1;
constexpr NodeId kRootNode = 0;

class SimDisk {
 public:
  SimDisk();

  // kNoNode when the path is not there.
  NodeId find(const std::string& path) const;
  bool is_dir(NodeId node) const { return nodes_[node].is_dir; }
  const std::string& data(NodeId node) const { return nodes_[node].data; }
  const std::map<std::string, NodeId>& names(NodeId dir) const { return nodes_[dir].names; }
  int64_t total_bytes() const;

  // The parent folder must exist and the name be free.
  NodeId create(const std::string& path, bool is_dir);
  void write(NodeId node, int64_t offset, std::string_view bytes);
  void truncate(NodeId node, int64_t size);
  void sync(NodeId node);
  void sync_dir(NodeId dir);
  void rename(const std::string& from, const std::string& to);
  void remove(const std::string& path);
  void flip(NodeId node, int64_t offset, unsigned char mask);
  // Only what survives stays; what was not synced is decided by `random`.
  void power_cut(SimRandom& random);

 private:
  struct Write {
    int64_t offset;  // of `bytes`; for a cut the new size
    std::string bytes;
    bool is_cut = false;
  };
  struct Node {
    bool is_dir = false;
    std::string data;
    std::string durable;
    std::vector<Write> pending;
    std::map<std::string, NodeId> names;
    std::map<std::string, NodeId> durable_names;
  };
  // One name now means `node` (kNoNode: nothing). A change is a few of them, kept or lost together.
  struct Assignment {
    NodeId dir;
    std::string name;
    NodeId node;
  };
  using NameChange = std::vector<Assignment>;

  static void apply_write(std::string& data, const Write& write);
  static std::string survivor(const Node& node, SimRandom& random);
  void change_names(NameChange change);
  void make_durable(const NameChange& change);

  std::vector<Node> nodes_;
  std::vector<NameChange> pending_names_;
};

}  // namespace bgl::sim
