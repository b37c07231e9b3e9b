// A library with one thread-local pointer, for sanitizer_check.cc.
namespace {
thread_local char* kept = nullptr;
}
extern "C" char** thread_local_of_library();
extern "C" char** thread_local_of_library() { return &kept; }
