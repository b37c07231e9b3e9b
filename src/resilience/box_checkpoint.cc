#include "resilience/box_checkpoint.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>

#include "base/hash.h"
#include "text/files/safetensors.h"

namespace bgl::resilience {
namespace {

using nlohmann::json;

std::string_view as_text(std::span<const std::byte> b) { return {reinterpret_cast<const char*>(b.data()), b.size()}; }

std::string key_of(const Box& b) {
  if (b.extent == b.shape) return b.name;
  return fmt::format("{}@{}", b.name, fmt::join(b.offset, ","));
}

bool overlap(const Box& a, const Box& b) {
  if (a.shape.size() != b.shape.size()) return false;
  for (size_t d = 0; d < a.shape.size(); ++d) {
    if (std::max(a.offset[d], b.offset[d]) >= std::min(a.offset[d] + a.extent[d], b.offset[d] + b.extent[d])) return false;
  }
  return true;
}

std::string step_name(int64_t step) { return fmt::format("step-{:08}", step); }

constexpr std::string_view kOld = ".old";

// "step-00000012" and "step-00000012.old" -> 12; anything else -> -1.
int64_t step_of(std::string_view name) {
  if (name.ends_with(kOld)) name.remove_suffix(kOld.size());
  if (!name.starts_with("step-") || name.size() < 6 || name.size() > 23) return -1;
  const std::string digits(name.substr(5));
  return digits.find_first_not_of("0123456789") == std::string::npos ? std::stoll(digits) : -1;
}

std::string partial_dir(const std::string& dir, int64_t step) { return join_path(dir, step_name(step) + ".partial"); }
std::string part_name(int64_t rank) { return fmt::format("boxes-{}.json", rank); }

// Of the length and the text that a safetensors file begins with.
std::string header_hash(std::string_view file) {
  uint64_t bytes = 0;
  if (file.size() >= sizeof bytes) std::memcpy(&bytes, file.data(), sizeof bytes);
  return bytes > file.size() ? "" : hash128_hex(file.substr(0, sizeof bytes + bytes));
}

Status write_file(Env& env, const std::string& path, std::string_view header, std::span<const Box> boxes) {
  BGL_ASSIGN(auto file, env.open(path, OpenMode::kWrite));
  BGL_TRY(file->append(header));
  for (const Box& b : boxes) BGL_TRY(file->append(as_text(b.bytes)));
  BGL_TRY(file->sync());
  return file->close();
}

json boxes_json(std::span<const Box> boxes, const std::string& file) {
  json list = json::array();
  for (const Box& b : boxes) {
    list.push_back({{"name", b.name}, {"dtype", b.dtype}, {"shape", b.shape}, {"offset", b.offset}, {"extent", b.extent},
                    {"file", file}, {"key", key_of(b)}, {"xxh3_128", hash128_hex(as_text(b.bytes))}});
  }
  return list;
}

// `j` as text with the checksum of the text in which "checksum" is empty.
std::string signed_text(json j) {
  j["checksum"] = "";
  j["checksum"] = hash128_hex(j.dump(1) + "\n");
  return j.dump(1) + "\n";
}

Result<json> read_signed(Env& env, const std::string& path) {
  BGL_ASSIGN(const std::string text, env.read_file(path));
  json j = json::parse(text, nullptr, false);
  if (!j.is_object() || j.value("format", json()) != "bagualu.checkpoint") return data_loss("{} is not a checkpoint's index", path);
  if (j.value("version", json()) != 1) {
    return make_status(Code::kUnimplemented, "{} has version {}; this program reads version 1", path, j.value("version", json()).dump());
  }
  if (signed_text(j) != text) return data_loss("{}: the index does not match its checksum", path);
  return j;
}

Box box_of_json(const json& b) { return {b.at("name"), b.at("dtype"), b.at("shape"), b.at("offset"), b.at("extent"), {}}; }

// Boxes lie inside their tensors, agree about them, and no two of one tensor overlap: then counting elements finds every gap.
Status check_boxes(const std::string& where, const std::vector<Box>& boxes) {
  std::map<std::string, std::vector<const Box*>> by_name;
  for (const Box& b : boxes) {
    bool inside = b.offset.size() == b.shape.size() && b.extent.size() == b.shape.size();
    for (size_t d = 0; inside && d < b.shape.size(); ++d) {
      inside = b.offset[d] >= 0 && b.extent[d] >= 0 && b.extent[d] <= b.shape[d] && b.offset[d] <= b.shape[d] - b.extent[d];
    }
    if (!inside) {
      return invalid_argument("{}: box [{}] at [{}] of tensor '{}' is not inside its shape [{}]", where, fmt::join(b.extent, ", "),
                              fmt::join(b.offset, ", "), b.name, fmt::join(b.shape, ", "));
    }
    by_name[b.name].push_back(&b);
  }
  for (auto& [name, list] : by_name) {
    // Sorted by the first dim, only boxes whose first dims meet are compared.
    std::sort(list.begin(), list.end(), [](const Box* a, const Box* b) { return a->offset < b->offset; });
    for (size_t i = 0; i < list.size(); ++i) {
      const Box& a = *list[i];
      if (a.dtype != list[0]->dtype || a.shape != list[0]->shape) {
        return invalid_argument("{}: tensor '{}' has boxes of different dtype or shape", where, name);
      }
      for (size_t k = i + 1; k < list.size(); ++k) {
        const Box& b = *list[k];
        if (!a.shape.empty() && b.shape.size() == a.shape.size() && b.offset[0] >= a.offset[0] + a.extent[0]) break;
        if (overlap(a, b)) return invalid_argument("{}: two boxes of tensor '{}' hold the same elements", where, name);
      }
    }
  }
  return {};
}

// Takes a step away: its name first, and for sure, so that a folder with the name of a step is never half empty.
Status discard(Env& env, const std::string& dir, const std::string& step_dir) {
  BGL_TRY(env.remove_all(step_dir + ".partial"));
  BGL_TRY(env.rename(step_dir, step_dir + ".partial"));
  BGL_TRY(env.sync_dir(dir));
  return env.remove_all(step_dir + ".partial");
}

// Takes away the .partial folders of earlier steps, which killed processes left.
Status remove_leftovers(Env& env, const std::string& dir, int64_t step) {
  constexpr std::string_view kPartial = ".partial";
  BGL_ASSIGN(const auto entries, env.list_dir(dir));
  for (const DirEntry& e : entries) {
    if (!e.name.ends_with(kPartial)) continue;
    const int64_t of = step_of(std::string_view(e.name).substr(0, e.name.size() - kPartial.size()));
    if (of >= 0 && of <= step) BGL_TRY(env.remove_all(join_path(dir, e.name)));
  }
  return Status();
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

Status begin_step(Env& env, const std::string& dir, int64_t step) {
  const std::string partial = partial_dir(dir, step);
  BGL_TRY(env.remove_all(partial));
  return env.make_dirs_synced(partial);
}

Status write_boxes(Env& env, const std::string& dir, int64_t step, int64_t rank, std::span<const Box> boxes) {
  const std::string partial = partial_dir(dir, step);
  const std::string file = fmt::format("boxes-{}.safetensors", rank);
  const std::string path = join_path(partial, file);
  BGL_TRY(check_boxes(path, {boxes.begin(), boxes.end()}));
  std::vector<text::TensorView> views;
  for (const Box& b : boxes) views.push_back({key_of(b), b.dtype, b.extent, b.bytes});
  BGL_ASSIGN(const std::string header, text::safetensors_header(path, views, {{"format", "pt"}}));
  BGL_TRY(write_file(env, path, header, boxes));
  const json part = {{"format", "bagualu.checkpoint"}, {"version", 1}, {"step", step}, {"boxes", boxes_json(boxes, file)},
                     {"headers", {{file, hash128_hex(header)}}}};
  return env.write_file_atomic(join_path(partial, part_name(rank)), signed_text(part));
}

Status commit_step(Env& env, const std::string& dir, int64_t step, int64_t ranks, const std::string& state_json, int64_t keep) {
  const std::string partial = partial_dir(dir, step), final_dir = join_path(dir, step_name(step));
  const json state = json::parse(state_json, nullptr, false);
  if (!state.is_object()) return invalid_argument("the state of a checkpoint must be a JSON object");
  json list = json::array(), headers = json::object();
  std::vector<Box> boxes;
  for (int64_t rank = 0; rank < ranks; ++rank) {
    BGL_ASSIGN(const json part, read_signed(env, join_path(partial, part_name(rank))));
    if (part.value("step", json()) != step) return data_loss("{}: it belongs to another step", join_path(partial, part_name(rank)));
    for (const json& b : part["boxes"]) {
      list.push_back(b);
      boxes.push_back(box_of_json(b));
    }
    headers.update(part.value("headers", json::object()));
  }
  BGL_TRY(check_boxes(partial, boxes));
  const json index = {{"format", "bagualu.checkpoint"}, {"version", 1}, {"step", step}, {"state", state}, {"boxes", list}, {"headers", headers}};
  BGL_TRY(env.write_file_atomic(join_path(partial, "index.json"), signed_text(index)));
  for (int64_t rank = 0; rank < ranks; ++rank) BGL_TRY(env.remove(join_path(partial, part_name(rank))));
  BGL_TRY(env.sync_dir(partial));
  const std::string old = final_dir + std::string(kOld);
  if (env.exists(final_dir)) {
    if (env.exists(old)) BGL_TRY(discard(env, dir, old));
    BGL_TRY(env.rename(final_dir, old));
    // The old name must be sure before its place is taken, or a power cut could keep neither.
    BGL_TRY(env.sync_dir(dir));
  }
  BGL_TRY(env.rename(partial, final_dir));
  BGL_TRY(env.sync_dir(dir));
  // Others go only after the new one is sure.
  if (env.exists(old)) BGL_TRY(discard(env, dir, old));
  BGL_ASSIGN(const auto steps, list_steps(env, dir));
  for (size_t i = static_cast<size_t>(std::max<int64_t>(keep, 1)); i < steps.size(); ++i) BGL_TRY(discard(env, dir, steps[i]));
  return remove_leftovers(env, dir, step);
}

Status write_step(Env& env, const std::string& dir, int64_t step, std::span<const Box> boxes, const std::string& state_json, int64_t keep) {
  Status written = begin_step(env, dir, step);
  if (written.ok()) written = write_boxes(env, dir, step, 0, boxes);
  if (written.ok()) return commit_step(env, dir, step, 1, state_json, keep);
  // On a full disk its room is what others wait for; where this fails too, the next step does it.
  (void)!env.remove_all(partial_dir(dir, step)).ok();
  return written;
}

Result<std::vector<std::string>> list_steps(Env& env, const std::string& dir) {
  if (!env.exists(dir)) return std::vector<std::string>();
  BGL_ASSIGN(const auto entries, env.list_dir(dir));
  struct Found {
    int64_t step;
    bool current;  // before its ".old"
    std::string path;
    auto operator<=>(const Found&) const = default;
  };
  std::vector<Found> found;
  for (const DirEntry& e : entries) {
    if (const int64_t step = step_of(e.name); e.is_dir && step >= 0) found.push_back({step, !e.name.ends_with(kOld), join_path(dir, e.name)});
  }
  std::sort(found.rbegin(), found.rend());
  std::vector<std::string> out;
  for (Found& f : found) out.push_back(std::move(f.path));
  return out;
}

Result<StepReader> StepReader::open(Env& env, const std::string& step_dir) {
  const std::string path = join_path(step_dir, "index.json");
  BGL_ASSIGN(const json j, read_signed(env, path));
  StepReader r;
  r.env_ = &env;
  r.dir_ = step_dir;
  try {
    r.step_ = j.at("step");
    r.state_ = j.at("state").dump();
    for (const auto& b : j.at("boxes")) {
      r.boxes_.push_back(box_of_json(b));
      r.stored_.push_back({b.at("file"), b.at("key"), b.at("xxh3_128")});
    }
    r.headers_ = j.value("headers", json::object()).get<std::map<std::string, std::string>>();
  } catch (const json::exception&) {
    return data_loss("{}: the index is damaged", path);
  }
  const Status fits = check_boxes(path, r.boxes_);
  if (!fits.ok()) return Status(Code::kDataLoss, fits.message());
  return r;
}

bool StepReader::has(const std::string& name) const {
  return std::any_of(boxes_.begin(), boxes_.end(), [&](const Box& b) { return b.name == name; });
}

// The mapping and the parsed header of one file.
struct StepReader::OpenFile {
  std::unique_ptr<FileView> view;
  text::SafeTensors tensors;
};

Result<std::shared_ptr<StepReader::OpenFile>> StepReader::open_file(const std::string& name) const {
  auto& file = files_[name];
  if (!file) {
    const std::string path = join_path(dir_, name);
    BGL_ASSIGN(auto view, env_->map(path));
    if (const auto hash = headers_.find(name); hash != headers_.end() && header_hash(view->bytes()) != hash->second) {
      return data_loss("{}: its header does not match its checksum", path);
    }
    BGL_ASSIGN(auto tensors, text::SafeTensors::parse(std::as_bytes(std::span(view->bytes().data(), view->bytes().size())), path));
    file = std::make_shared<OpenFile>(OpenFile{std::move(view), std::move(tensors)});
  }
  return file;
}

Result<std::span<const std::byte>> StepReader::box_bytes(size_t index) const {
  const Stored& s = stored_[index];
  const std::string path = join_path(dir_, s.file);
  BGL_ASSIGN(const auto file, open_file(s.file));
  BGL_ASSIGN(const text::TensorView t, file->tensors.get(s.key));
  if (t.dtype != boxes_[index].dtype || t.shape != boxes_[index].extent) return data_loss("{}: tensor '{}' is not what the index says", path, s.key);
  if (hash128_hex(as_text(t.bytes)) != s.hash) return data_loss("{}: the bytes of tensor '{}' do not match their checksum", path, s.key);
  return t.bytes;
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
    if (!overlap(b, wanted)) continue;
    BGL_ASSIGN(const auto bytes, box_bytes(i));
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
