// What every program built with the address sanitizer runs with; ASAN_OPTIONS in the environment still comes after it.
//
// intercept_tls_get_addr=0: to find leaks, the runtime of g++ 12 scans the thread-local blocks of libraries that dlopen loaded. It
// takes a block that begins 16 bytes into a page for one of glibc 2.19 and reads size and start of what to scan from the 16 bytes
// before it. There stands the allocator's own header, so that now and then a process died at its end of "Tracer caught
// signal 11". Nothing is lost: what the dynamic linker allocated, those blocks among it, is scanned as reachable memory anyway.
extern "C" const char* __asan_default_options();
extern "C" const char* __asan_default_options() { return "intercept_tls_get_addr=0"; }
