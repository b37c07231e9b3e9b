#include "text/files/packed_writer.h"

#include <zstd.h>

namespace bgl::text {
namespace {

constexpr size_t kPackedBlock = 1 << 20;

}  // namespace

struct PackedWriter::State {
  struct Free {
    void operator()(ZSTD_CCtx* c) const { ZSTD_freeCCtx(c); }
  };
  Env& env;
  std::string path;
  std::unique_ptr<File> file;
  std::unique_ptr<ZSTD_CCtx, Free> encoder;
  std::string block, room;

  Status write(bool last) {
    ZSTD_inBuffer in{block.data(), block.size(), 0};
    for (;;) {
      ZSTD_outBuffer out{room.data(), room.size(), 0};
      const size_t left = ZSTD_compressStream2(encoder.get(), &out, &in, last ? ZSTD_e_end : ZSTD_e_continue);
      if (ZSTD_isError(left)) return make_status(Code::kInternal, "{}: zstd: {}", path, ZSTD_getErrorName(left));
      if (out.pos > 0) BGL_TRY(file->append(std::string_view(room).substr(0, out.pos)));
      if (in.pos == in.size && (!last || left == 0)) break;
    }
    block.clear();
    return {};
  }
};

PackedWriter::PackedWriter(std::unique_ptr<State> state) : state_(std::move(state)) {}
PackedWriter::PackedWriter(PackedWriter&&) noexcept = default;
PackedWriter::~PackedWriter() = default;

Result<PackedWriter> PackedWriter::create(Env& env, std::string path) {
  BGL_ASSIGN(std::unique_ptr<File> file, env.open(path + ".tmp", OpenMode::kWrite));
  std::unique_ptr<State> state(
      new State{env, std::move(path), std::move(file), {}, {}, std::string(ZSTD_CStreamOutSize(), '\0')});
  state->encoder.reset(ZSTD_createCCtx());
  ZSTD_CCtx_setParameter(state->encoder.get(), ZSTD_c_compressionLevel, 3);
  ZSTD_CCtx_setParameter(state->encoder.get(), ZSTD_c_checksumFlag, 1);
  return PackedWriter(std::move(state));
}

Status PackedWriter::append(std::string_view bytes) {
  while (!bytes.empty()) {
    const size_t n = std::min(bytes.size(), kPackedBlock - state_->block.size());
    state_->block += bytes.substr(0, n);
    bytes.remove_prefix(n);
    if (state_->block.size() == kPackedBlock) BGL_TRY(state_->write(false));
  }
  return {};
}

Status PackedWriter::finish() {
  BGL_TRY(state_->write(true));
  BGL_TRY(state_->file->sync());
  BGL_TRY(state_->file->close());
  BGL_TRY(state_->env.rename(state_->path + ".tmp", state_->path));
  return state_->env.sync_dir(parent_path(state_->path));
}

}  // namespace bgl::text
