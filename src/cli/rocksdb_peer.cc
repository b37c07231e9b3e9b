#include "cli/rocksdb_peer.h"

#include <dlfcn.h>

#include <cstdlib>

namespace bgl::cli {
namespace {

constexpr const char* kLibraries[] = {"librocksdb.so.7.8", "librocksdb.so"};

// The functions used, named as rocksdb/c.h names them without "rocksdb_". Every opaque pointer is a void*.
struct Api {
  void* (*options_create)();
  void (*options_set_create_if_missing)(void*, unsigned char);
  void (*options_set_compression)(void*, int);
  void (*options_set_use_direct_reads)(void*, unsigned char);
  void (*options_increase_parallelism)(void*, int);
  void* (*block_based_options_create)();
  void (*block_based_options_set_filter_policy)(void*, void*);
  void* (*filterpolicy_create_bloom)(double);
  void (*options_set_block_based_table_factory)(void*, void*);
  void* (*open)(const void*, const char*, char**);
  void (*close)(void*);
  void* (*writeoptions_create)();
  void (*writeoptions_set_sync)(void*, unsigned char);
  void* (*readoptions_create)();
  void* (*writebatch_create)();
  void (*writebatch_destroy)(void*);
  void (*writebatch_put)(void*, const char*, size_t, const char*, size_t);
  void (*write)(void*, const void*, void*, char**);
  char* (*get)(void*, const void*, const char*, size_t, size_t*, char**);
  void* (*flushoptions_create)();
  void (*flush)(void*, const void*, char**);
  void (*free)(void*);
};

template <typename F>
bool find(void* library, const char* name, F& function) {
  function = reinterpret_cast<F>(dlsym(library, (std::string("rocksdb_") + name).c_str()));
  return function != nullptr;
}

bool load(void* library, Api& api) {
#define BGL_FIND(name) find(library, #name, api.name)
  return BGL_FIND(options_create) && BGL_FIND(options_set_create_if_missing) && BGL_FIND(options_set_compression) &&
         BGL_FIND(options_set_use_direct_reads) && BGL_FIND(options_increase_parallelism) &&
         BGL_FIND(block_based_options_create) && BGL_FIND(block_based_options_set_filter_policy) &&
         BGL_FIND(filterpolicy_create_bloom) && BGL_FIND(options_set_block_based_table_factory) && BGL_FIND(open) &&
         BGL_FIND(close) && BGL_FIND(writeoptions_create) && BGL_FIND(writeoptions_set_sync) && BGL_FIND(readoptions_create) &&
         BGL_FIND(writebatch_create) && BGL_FIND(writebatch_destroy) && BGL_FIND(writebatch_put) && BGL_FIND(write) &&
         BGL_FIND(get) && BGL_FIND(flushoptions_create) && BGL_FIND(flush) && BGL_FIND(free);
#undef BGL_FIND
}

// The few option objects live as long as the process: it is a benchmark's.
class OpenRocksDb final : public RocksDb {
 public:
  OpenRocksDb(const Api& api, void* db)
      : api_(api), db_(db), write_(api.writeoptions_create()), read_(api.readoptions_create()) {
    api_.writeoptions_set_sync(write_, 1);
  }
  ~OpenRocksDb() override { api_.close(db_); }

  Status write(const std::vector<std::pair<std::string, std::string_view>>& rows) override {
    void* batch = api_.writebatch_create();
    for (const auto& [key, value] : rows) api_.writebatch_put(batch, key.data(), key.size(), value.data(), value.size());
    char* error = nullptr;
    api_.write(db_, write_, batch, &error);
    api_.writebatch_destroy(batch);
    return told(error);
  }

  Result<std::string> get(std::string_view key) override {
    char* error = nullptr;
    size_t size = 0;
    char* value = api_.get(db_, read_, key.data(), key.size(), &size, &error);
    BGL_TRY(told(error));
    if (!value) return not_found("RocksDB has no row {}", key);
    std::string out(value, size);
    api_.free(value);
    return out;
  }

  Status flush() override {
    char* error = nullptr;
    api_.flush(db_, api_.flushoptions_create(), &error);
    return told(error);
  }

 private:
  Status told(char* error) const {
    if (!error) return {};
    const Status status = make_status(Code::kIo, "RocksDB: {}", error);
    api_.free(error);
    return status;
  }
  Api api_;
  void* db_;
  void* write_;
  void* read_;
};

}  // namespace

Result<std::unique_ptr<RocksDb>> open_rocksdb(const std::string& dir) {
  void* library = nullptr;
  for (const char* name : kLibraries) {
    if (!library) library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
  }
  Api api{};
  if (!library || !load(library, api)) return not_found("RocksDB is not installed: apt-get install librocksdb7.8");
  void* options = api.options_create();
  api.options_set_create_if_missing(options, 1);
  api.options_set_compression(options, 0);
  api.options_set_use_direct_reads(options, 1);
  api.options_increase_parallelism(options, 2);
  void* table = api.block_based_options_create();
  api.block_based_options_set_filter_policy(table, api.filterpolicy_create_bloom(10));
  api.options_set_block_based_table_factory(options, table);
  char* error = nullptr;
  void* db = api.open(options, dir.c_str(), &error);
  if (!db) return make_status(Code::kIo, "RocksDB at {}: {}", dir, error ? error : "cannot be opened");
  return std::unique_ptr<RocksDb>(std::make_unique<OpenRocksDb>(api, db));
}

}  // namespace bgl::cli
