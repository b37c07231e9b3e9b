#include "resilience/box_checkpoint.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>

#include "base/hash.h"
#include "text/safetensors.h"

namespace bgl::resilience {
namespace {

using nlohmann::json;

std::string_view as_text(std::span<const std::byte> b) { return {reinterpret_cast<const char*>(b.data()), b.size()}; }

std::string key_of(const Box& b) {
  if (b.extent == b.shape) return b.name;
  return fmt::format("{}@{}", b.name, fmt::join(b.offset, ","));
}

std::string step_name(int64_t step) { return fmt::format("step-{:08}", step); }

// "step-00000012" -> 12; anything else -> -1.
int64_t step_of(const std::string& name) {
  if (name.rfind("step-", 0) != 0 || name.size() < 6) return -1;
  const std::string digits = name.substr(5);
  if (digits.find_first_not_of("0123456789") != std::string::npos || digits.size() > 18) return -1;
  return std::stoll(digits);
}

Status write_file(Env& env, const std::string& path, std::string_view header, std::span<const Box> boxes) {
  BGL_ASSIGN(auto file, env.open(path, OpenMode::kWrite));
  BGL_TRY(file->append(header));
  for (const Box& b : boxes) BGL_TRY(file->append(as_text(b.bytes)));
  BGL_TRY(file->sync());
  return file->close();
}

std::string index_text(int64_t step, std::span<const Box> boxes, const std::string& file, const json& state, const std::string& checksum) {
  json list = json::array();
  for (const Box& b : boxes) {
    list.push_back({{"name", b.name}, {"dtype", b.dtype}, {"shape", b.shape}, {"offset", b.offset}, {"extent", b.extent}, {"file", file},
                    {"key", key_of(b)}, {"xxh3_128", hash128_hex(as_text(b.bytes))}});
  }
  const json j = {{"format", "bagualu.checkpoint"}, {"version", 1}, {"step", step}, {"state", state}, {"boxes", list}, {"checksum", checksum}};
  return j.dump(1) + "\n";
}

// Takes a step away: its name first, and for sure, so that a folder with the name of a step is never half empty.
Status discard(Env& env, const std::string& dir, const std::string& step_dir) {
  BGL_TRY(env.remove_all(step_dir + ".partial"));
  BGL_TRY(env.rename(step_dir, step_dir + ".partial"));
  BGL_TRY(env.sync_dir(dir));
  return env.remove_all(step_dir + ".partial");
}

// Calls fn(offset in `box`, offset in `wanted`, elements) for every run of elements that both hold.
template <typename F>
void for_common_runs(const Box& box, const Box& wanted, F fn) {
  const size_t rank = box.shape.size();
  std::vector<int64_t> lo(rank), hi(rank);
  for (size_t d = 0; d < rank; ++d) {
    lo[d] = std::max(box.offset[d], wanted.offset[d]);
    hi[d] = std::min(box.offset[d] + box.extent[d], wanted.offset[d] + wanted.extent[d]);
    if (lo[d] >= hi[d]) return;
  }
  const int64_t run = rank ? hi[rank - 1] - lo[rank - 1] : 1;
  std::vector<int64_t> at = lo;
  while (true) {
    int64_t from = 0, to = 0;
    for (size_t d = 0; d < rank; ++d) {
      from = from * box.extent[d] + at[d] - box.offset[d];
      to = to * wanted.extent[d] + at[d] - wanted.offset[d];
    }
    fn(from, to, run);
    size_t d = rank < 2 ? 0 : rank - 1;
    while (d-- > 0) {
      if (++at[d] < hi[d]) break;
      at[d] = lo[d];
    }
    if (d == static_cast<size_t>(-1)) return;
  }
}

}  // namespace

Box whole_box(std::string name, std::string dtype, std::vector<int64_t> shape, std::span<const std::byte> bytes) {
  std::vector<int64_t> zero(shape.size(), 0);
  return {std::move(name), std::move(dtype), shape, std::move(zero), shape, bytes};
}

Status write_step(Env& env, const std::string& dir, int64_t step, std::span<const Box> boxes, const std::string& state_json, int64_t keep) {
  const std::string final_dir = join_path(dir, step_name(step)), partial = final_dir + ".partial";
  const std::string file = "boxes-0.safetensors";
  std::vector<text::TensorView> views;
  for (const Box& b : boxes) views.push_back({key_of(b), b.dtype, b.extent, b.bytes});
  BGL_ASSIGN(const std::string header, text::safetensors_header(join_path(partial, file), views, {{"format", "pt"}}));
  const json state = json::parse(state_json, nullptr, false);
  if (!state.is_object()) return invalid_argument("the state of a checkpoint must be a JSON object");
  BGL_TRY(env.remove_all(partial));
  BGL_TRY(env.make_dirs(partial));
  BGL_TRY(env.sync_dir(parent_path(dir)));
  BGL_TRY(write_file(env, join_path(partial, file), header, boxes));
  const std::string unsigned_text = index_text(step, boxes, file, state, "");
  BGL_TRY(env.write_file_atomic(join_path(partial, "index.json"), index_text(step, boxes, file, state, hash128_hex(unsigned_text))));
  BGL_TRY(env.sync_dir(partial));
  if (env.exists(final_dir)) {
    // The same step again: the old one goes away under another name.
    const std::string old = final_dir + ".old.partial";
    BGL_TRY(env.remove_all(old));
    BGL_TRY(env.rename(final_dir, old));
    BGL_TRY(env.rename(partial, final_dir));
    BGL_TRY(env.sync_dir(dir));
    return env.remove_all(old);
  }
  BGL_TRY(env.rename(partial, final_dir));
  BGL_TRY(env.sync_dir(dir));
  // Older steps go only after the new one is sure.
  BGL_ASSIGN(const auto steps, list_steps(env, dir));
  for (size_t i = static_cast<size_t>(std::max<int64_t>(keep, 1)); i < steps.size(); ++i) BGL_TRY(discard(env, dir, steps[i]));
  return Status();
}

Result<std::vector<std::string>> list_steps(Env& env, const std::string& dir) {
  if (!env.exists(dir)) return std::vector<std::string>();
  BGL_ASSIGN(const auto entries, env.list_dir(dir));
  std::vector<std::pair<int64_t, std::string>> found;
  for (const DirEntry& e : entries) {
    if (const int64_t step = step_of(e.name); e.is_dir && step >= 0) found.push_back({step, join_path(dir, e.name)});
  }
  std::sort(found.rbegin(), found.rend());
  std::vector<std::string> out;
  for (auto& [step, path] : found) out.push_back(std::move(path));
  return out;
}

Result<StepReader> StepReader::open(Env& env, const std::string& step_dir) {
  const std::string path = join_path(step_dir, "index.json");
  BGL_ASSIGN(const std::string text, env.read_file(path));
  json j = json::parse(text, nullptr, false);
  StepReader r;
  r.env_ = &env;
  r.dir_ = step_dir;
  try {
    if (!j.is_object() || j.at("format") != "bagualu.checkpoint") return data_loss("{} is not a checkpoint's index", path);
    if (j.at("version") != 1) return make_status(Code::kUnimplemented, "{} has version {}; this program reads version 1", path, j["version"].dump());
    const std::string checksum = j.at("checksum");
    j["checksum"] = "";
    if (hash128_hex(j.dump(1) + "\n") != checksum) return data_loss("{}: the index does not match its checksum", path);
    r.step_ = j.at("step");
    r.state_ = j.at("state").dump();
    for (const auto& b : j.at("boxes")) {
      r.boxes_.push_back({b.at("name"), b.at("dtype"), b.at("shape"), b.at("offset"), b.at("extent"), {}});
      r.stored_.push_back({b.at("file"), b.at("key"), b.at("xxh3_128")});
      const Box& box = r.boxes_.back();
      if (box.offset.size() != box.shape.size() || box.extent.size() != box.shape.size()) return data_loss("{}: box {} has {} dims", path, box.name, box.shape.size());
    }
  } catch (const json::exception&) {
    return data_loss("{}: the index is damaged", path);
  }
  return r;
}

bool StepReader::has(const std::string& name) const {
  return std::any_of(boxes_.begin(), boxes_.end(), [&](const Box& b) { return b.name == name; });
}

Result<std::string> StepReader::box_bytes(size_t index) const {
  const Stored& s = stored_[index];
  const std::string path = join_path(dir_, s.file);
  BGL_ASSIGN(const auto view, env_->map(path));
  BGL_ASSIGN(const auto file, text::SafeTensors::parse(std::as_bytes(std::span(view->bytes().data(), view->bytes().size())), path));
  BGL_ASSIGN(const text::TensorView t, file.get(s.key));
  if (t.dtype != boxes_[index].dtype || t.shape != boxes_[index].extent) return data_loss("{}: tensor '{}' is not what the index says", path, s.key);
  if (hash128_hex(as_text(t.bytes)) != s.hash) return data_loss("{}: the bytes of tensor '{}' do not match their checksum", path, s.key);
  return std::string(as_text(t.bytes));
}

Status StepReader::read(const Box& wanted, std::span<std::byte> out) const {
  const int64_t size = text::safetensors_dtype_bytes(wanted.dtype);
  int64_t elements = 1, filled = 0;
  for (const int64_t d : wanted.extent) elements *= d;
  if (static_cast<int64_t>(out.size()) != elements * size) return invalid_argument("{} bytes for {} elements of {}", out.size(), elements, wanted.dtype);
  bool known = false;
  for (size_t i = 0; i < boxes_.size(); ++i) {
    const Box& b = boxes_[i];
    if (b.name != wanted.name) continue;
    known = true;
    if (b.dtype != wanted.dtype || b.shape != wanted.shape) {
      return invalid_argument("{}: tensor '{}' is {} [{}] there, {} [{}] is wanted", dir_, b.name, b.dtype, fmt::join(b.shape, ", "), wanted.dtype,
                              fmt::join(wanted.shape, ", "));
    }
    BGL_ASSIGN(const std::string bytes, box_bytes(i));
    for_common_runs(b, wanted, [&](int64_t from, int64_t to, int64_t n) {
      std::memcpy(out.data() + to * size, bytes.data() + from * size, static_cast<size_t>(n * size));
      filled += n;
    });
  }
  if (!known) return not_found("{} has no tensor '{}'", dir_, wanted.name);
  if (filled != elements) return data_loss("{}: {} of {} elements of tensor '{}' are in no box", dir_, elements - filled, elements, wanted.name);
  return Status();
}

Status StepReader::verify() const {
  for (size_t i = 0; i < boxes_.size(); ++i) {
    auto bytes = box_bytes(i);
    if (!bytes.ok()) return bytes.status();
  }
  return Status();
}

}  // namespace bgl::resilience
