// Looks whether leak detection works beside a library's thread-local block that lies where the runtime misreads it
// (sanitizer_options.cc). Usage: sanitizer_check LIBRARY keep|lose. `keep` leaves the only pointer to some memory in that block, and
// must end well; `lose` forgets it, and must end with a leak.
#include <dlfcn.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  void* library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
  const auto find = library ? reinterpret_cast<char** (*)()>(dlsym(library, "thread_local_of_library")) : nullptr;
  if (!find) {
    std::fprintf(stderr, "%s\n", dlerror());
    return 2;
  }
  // Blocks of the same size until the next free one begins 16 bytes into a page: the linker gets that one. They stay reachable.
  static void* before[100'000];
  for (void*& block : before) {
    block = std::malloc(sizeof(char*));
    if (reinterpret_cast<uintptr_t>(block) % 4096 != 16) continue;
    std::free(block);
    block = nullptr;
    break;
  }
  char** kept = find();
  if (reinterpret_cast<uintptr_t>(kept) % 4096 != 16) {
    std::fprintf(stderr, "the thread-local block lies at %p: not where this test wants it\n", static_cast<void*>(kept));
    return 2;
  }
  *kept = static_cast<char*>(std::malloc(1000));
  if (std::strcmp(argv[2], "lose") == 0) *kept = nullptr;
  return 0;
}
