#include "sim/internal/sim_disk.h"

#include <algorithm>

#include "base/env.h"

namespace bgl::sim {

constexpr int64_t kSectorBytes = 512;

uint64_t SimRandom::next() {
  uint64_t z = state_ += 0x9e3779b97f4a7c15ULL;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
  return z ^ (z >> 31);
}

SimDisk::SimDisk() : nodes_(1) { nodes_[kRootNode].is_dir = true; }

NodeId SimDisk::find(const std::string& path) const {
  NodeId node = kRootNode;
  size_t at = 0;
  while (at < path.size()) {
    const size_t end = std::min(path.find('/', at), path.size());
    const std::string name = path.substr(at, end - at);
    at = end + 1;
    if (name.empty() || name == ".") continue;
    const auto found = nodes_[node].names.find(name);
    if (found == nodes_[node].names.end()) return kNoNode;
    node = found->second;
  }
  return node;
}

int64_t SimDisk::total_bytes() const {
  int64_t total = 0;
  for (const Node& node : nodes_) total += static_cast<int64_t>(node.data.size());
  return total;
}

NodeId SimDisk::create(const std::string& path, bool is_dir) {
  const NodeId dir = find(parent_path(path));
  const NodeId node = static_cast<NodeId>(nodes_.size());
  nodes_.emplace_back().is_dir = is_dir;
  change_names({{dir, base_name(path), node}});
  return node;
}

void SimDisk::apply_write(std::string& data, const Write& write) {
  const size_t offset = static_cast<size_t>(write.offset);
  if (write.is_cut) {
    data.resize(offset);
    return;
  }
  if (data.size() < offset + write.bytes.size()) data.resize(offset + write.bytes.size());
  std::copy(write.bytes.begin(), write.bytes.end(), data.begin() + static_cast<std::ptrdiff_t>(offset));
}

void SimDisk::write(NodeId node, int64_t offset, std::string_view bytes) {
  nodes_[node].pending.push_back({offset, std::string(bytes)});
  apply_write(nodes_[node].data, nodes_[node].pending.back());
}

void SimDisk::truncate(NodeId node, int64_t size) {
  nodes_[node].pending.push_back({size, {}, true});
  apply_write(nodes_[node].data, nodes_[node].pending.back());
}

void SimDisk::sync(NodeId node) {
  nodes_[node].durable = nodes_[node].data;
  nodes_[node].pending.clear();
}

void SimDisk::change_names(NameChange change) {
  for (const Assignment& a : change) {
    if (a.node == kNoNode) {
      nodes_[a.dir].names.erase(a.name);
    } else {
      nodes_[a.dir].names[a.name] = a.node;
    }
  }
  pending_names_.push_back(std::move(change));
}

void SimDisk::make_durable(const NameChange& change) {
  for (const Assignment& a : change) {
    if (a.node == kNoNode) {
      nodes_[a.dir].durable_names.erase(a.name);
    } else {
      nodes_[a.dir].durable_names[a.name] = a.node;
    }
  }
}

void SimDisk::sync_dir(NodeId dir) {
  std::vector<NameChange> left;
  for (const NameChange& change : pending_names_) {
    const bool here = std::any_of(change.begin(), change.end(), [dir](const Assignment& a) { return a.dir == dir; });
    if (!here) {
      left.push_back(change);
      continue;
    }
    make_durable(change);
    // An earlier change of the same name in another folder's queue is superseded: it must not come back at a power cut.
    for (NameChange& earlier : left) {
      std::erase_if(earlier, [&change](const Assignment& e) {
        return std::any_of(change.begin(), change.end(),
                           [&e](const Assignment& a) { return a.dir == e.dir && a.name == e.name; });
      });
    }
  }
  pending_names_ = std::move(left);
}

void SimDisk::rename(const std::string& from, const std::string& to) {
  const NodeId node = find(from);
  change_names({{find(parent_path(from)), base_name(from), kNoNode}, {find(parent_path(to)), base_name(to), node}});
}

void SimDisk::remove(const std::string& path) { change_names({{find(parent_path(path)), base_name(path), kNoNode}}); }

void SimDisk::flip(NodeId node, int64_t offset, unsigned char mask) {
  sync(node);
  char& byte = nodes_[node].data.at(static_cast<size_t>(offset));
  byte = static_cast<char>(static_cast<unsigned char>(byte) ^ mask);
  sync(node);
}

std::string SimDisk::survivor(const Node& node, SimRandom& random) {
  std::string data = node.durable;
  for (const Write& write : node.pending) {
    if (write.is_cut) {
      if (random.coin()) apply_write(data, write);
      continue;
    }
    const int64_t end = write.offset + static_cast<int64_t>(write.bytes.size());
    for (int64_t at = write.offset; at < end;) {
      const int64_t next = std::min(end, (at / kSectorBytes + 1) * kSectorBytes);
      if (random.coin()) {
        apply_write(data, {at, write.bytes.substr(static_cast<size_t>(at - write.offset), static_cast<size_t>(next - at))});
      }
      at = next;
    }
  }
  return data;
}

void SimDisk::power_cut(SimRandom& random) {
  const bool prefix = random.coin();
  const int64_t cut = random.below(static_cast<int64_t>(pending_names_.size()) + 1);
  for (size_t i = 0; i < pending_names_.size(); ++i) {
    if (prefix ? static_cast<int64_t>(i) < cut : random.coin()) make_durable(pending_names_[i]);
  }
  pending_names_.clear();
  for (Node& node : nodes_) {
    node.names = node.durable_names;
    if (!node.is_dir) node.data = survivor(node, random);
    node.durable = node.data;
    node.pending.clear();
  }
}

}  // namespace bgl::sim
