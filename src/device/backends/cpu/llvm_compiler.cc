#include "device/backends/cpu/llvm_compiler.h"

#include <dlfcn.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <mutex>

namespace bgl::device::cpu {
namespace {

// The part of LLVM's C interface that is used, with prototypes of our own; it has been stable for many versions, but the text
// of the IR has not: the version is asked for.
struct Llvm {
  using Ref = void*;
  void (*LLVMGetVersion)(unsigned*, unsigned*, unsigned*);
  void (*LLVMInitializeX86TargetInfo)();
  void (*LLVMInitializeX86Target)();
  void (*LLVMInitializeX86TargetMC)();
  void (*LLVMInitializeX86AsmPrinter)();
  Ref (*LLVMContextCreate)();
  void (*LLVMContextDispose)(Ref);
  Ref (*LLVMCreateMemoryBufferWithMemoryRangeCopy)(const char*, size_t, const char*);
  void (*LLVMDisposeMemoryBuffer)(Ref);
  const char* (*LLVMGetBufferStart)(Ref);
  size_t (*LLVMGetBufferSize)(Ref);
  int (*LLVMParseIRInContext)(Ref context, Ref buffer, Ref* module, char** message);  // takes the buffer
  void (*LLVMDisposeModule)(Ref);
  void (*LLVMDisposeMessage)(char*);
  int (*LLVMGetTargetFromTriple)(const char*, Ref*, char**);
  Ref (*LLVMCreateTargetMachine)(Ref, const char* triple, const char* cpu, const char* features, int level, int reloc,
                                 int code_model);
  void (*LLVMDisposeTargetMachine)(Ref);
  Ref (*LLVMCreateTargetDataLayout)(Ref);
  void (*LLVMDisposeTargetData)(Ref);
  void (*LLVMSetModuleDataLayout)(Ref, Ref);
  void (*LLVMSetTarget)(Ref, const char*);
  Ref (*LLVMCreatePassBuilderOptions)();
  void (*LLVMDisposePassBuilderOptions)(Ref);
  Ref (*LLVMRunPasses)(Ref module, const char* passes, Ref machine, Ref options);
  char* (*LLVMGetErrorMessage)(Ref);
  void (*LLVMDisposeErrorMessage)(char*);
  int (*LLVMTargetMachineEmitToMemoryBuffer)(Ref machine, Ref module, int file_type, char** message, Ref* buffer);

  std::string error;
};

constexpr const char* kTriple = "x86_64-unknown-linux-gnu";
// What tile code profits from: loop invariants out, common subexpressions and dead code away. Kernels run as fast as after
// default<O2>, whose passes take about five times as long: their vectors, tiles and inlining are decided before LLVM sees them.
constexpr const char* kPasses =
    "function(sroa,early-cse<memssa>,simplifycfg,loop-simplify,lcssa,loop-mssa(loop-rotate,licm),instcombine<no-verify-"
    "fixpoint>,"
    "early-cse<memssa>,adce,simplifycfg)";
constexpr const char* kNames[] = {"libLLVM-19.so.1", "libLLVM.so.19.1", "libLLVM-19.so"};

void open_llvm(Llvm& l) {
  void* library = nullptr;
  std::string why;
  const char* given = std::getenv("BGL_LLVM");
  for (const char* name : kNames) {
    if ((library = dlopen(given ? given : name, RTLD_LAZY | RTLD_LOCAL))) break;
    if (why.empty()) why = dlerror();
  }
  if (!library) {
    l.error = "libLLVM 19 cannot be opened (" + why + "); install libllvm19";
    return;
  }
  auto take = [&](auto& function, const char* name) {
    function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(dlsym(library, name));
    if (!function && l.error.empty()) l.error = fmt::format("libLLVM lacks {}", name);
  };
#define BGL_TAKE(name) take(l.name, #name)
  BGL_TAKE(LLVMGetVersion), BGL_TAKE(LLVMInitializeX86TargetInfo), BGL_TAKE(LLVMInitializeX86Target);
  BGL_TAKE(LLVMInitializeX86TargetMC), BGL_TAKE(LLVMInitializeX86AsmPrinter), BGL_TAKE(LLVMContextCreate);
  BGL_TAKE(LLVMContextDispose), BGL_TAKE(LLVMCreateMemoryBufferWithMemoryRangeCopy), BGL_TAKE(LLVMDisposeMemoryBuffer);
  BGL_TAKE(LLVMGetBufferStart), BGL_TAKE(LLVMGetBufferSize), BGL_TAKE(LLVMParseIRInContext), BGL_TAKE(LLVMDisposeModule);
  BGL_TAKE(LLVMDisposeMessage), BGL_TAKE(LLVMGetTargetFromTriple), BGL_TAKE(LLVMCreateTargetMachine);
  BGL_TAKE(LLVMDisposeTargetMachine), BGL_TAKE(LLVMCreateTargetDataLayout), BGL_TAKE(LLVMDisposeTargetData);
  BGL_TAKE(LLVMSetModuleDataLayout), BGL_TAKE(LLVMSetTarget), BGL_TAKE(LLVMCreatePassBuilderOptions);
  BGL_TAKE(LLVMDisposePassBuilderOptions), BGL_TAKE(LLVMRunPasses), BGL_TAKE(LLVMGetErrorMessage);
  BGL_TAKE(LLVMDisposeErrorMessage), BGL_TAKE(LLVMTargetMachineEmitToMemoryBuffer);
#undef BGL_TAKE
  if (!l.error.empty()) return;
  unsigned major = 0, minor = 0, patch = 0;
  l.LLVMGetVersion(&major, &minor, &patch);
  if (major != 19) {
    l.error = fmt::format("libLLVM is version {}.{}.{}, not 19", major, minor, patch);
    return;
  }
  l.LLVMInitializeX86TargetInfo(), l.LLVMInitializeX86Target(), l.LLVMInitializeX86TargetMC(), l.LLVMInitializeX86AsmPrinter();
}

const Llvm& llvm() {
  static Llvm library{};
  static std::once_flag once;
  std::call_once(once, [] { open_llvm(library); });
  return library;
}

// Everything made for one compilation, released in reverse order.
struct Session {
  const Llvm& l;
  Llvm::Ref context = nullptr, module = nullptr, machine = nullptr, layout = nullptr, options = nullptr, object = nullptr;
  ~Session() {
    if (object) l.LLVMDisposeMemoryBuffer(object);
    if (options) l.LLVMDisposePassBuilderOptions(options);
    if (layout) l.LLVMDisposeTargetData(layout);
    if (module) l.LLVMDisposeModule(module);
    if (machine) l.LLVMDisposeTargetMachine(machine);
    if (context) l.LLVMContextDispose(context);
  }
  std::string taken(char* message) const {
    std::string text = message ? message : "no reason given";
    if (message) l.LLVMDisposeMessage(message);
    return text;
  }
};

}  // namespace

bool llvm_present() {
  if (const char* given = std::getenv("BGL_LLVM")) return access(given, R_OK) == 0;
  for (const char* folder :
       {"/usr/lib/x86_64-linux-gnu/", "/usr/lib64/", "/usr/lib/", "/usr/local/lib/", "/usr/lib/llvm-19/lib/"}) {
    for (const char* name : kNames) {
      if (access((std::string(folder) + name).c_str(), R_OK) == 0) return true;
    }
  }
  return llvm().error.empty();
}

const std::string& llvm_failure() { return llvm().error; }

std::string compile_llvm(std::string_view text, const std::string& features, std::string& error) {
  const Llvm& l = llvm();
  if (!l.error.empty()) return error = l.error, std::string();
  Session s{l};
  char* message = nullptr;
  s.context = l.LLVMContextCreate();
  Llvm::Ref source = l.LLVMCreateMemoryBufferWithMemoryRangeCopy(text.data(), text.size(), "kernel");
  if (l.LLVMParseIRInContext(s.context, source, &s.module, &message)) return error = "LLVM: " + s.taken(message), std::string();
  Llvm::Ref target = nullptr;
  if (l.LLVMGetTargetFromTriple(kTriple, &target, &message)) return error = "LLVM: " + s.taken(message), std::string();
  constexpr int kLevelDefault = 2, kRelocPic = 2, kCodeModelSmall = 3, kObjectFile = 1;
  s.machine = l.LLVMCreateTargetMachine(target, kTriple, "x86-64", features.c_str(), kLevelDefault, kRelocPic, kCodeModelSmall);
  s.layout = l.LLVMCreateTargetDataLayout(s.machine);
  l.LLVMSetTarget(s.module, kTriple);
  l.LLVMSetModuleDataLayout(s.module, s.layout);
  s.options = l.LLVMCreatePassBuilderOptions();
  if (Llvm::Ref failed = l.LLVMRunPasses(s.module, kPasses, s.machine, s.options)) {
    char* why = l.LLVMGetErrorMessage(failed);
    error = fmt::format("LLVM: {}", why);
    l.LLVMDisposeErrorMessage(why);
    return {};
  }
  if (l.LLVMTargetMachineEmitToMemoryBuffer(s.machine, s.module, kObjectFile, &message, &s.object)) {
    return error = "LLVM: " + s.taken(message), std::string();
  }
  return {l.LLVMGetBufferStart(s.object), l.LLVMGetBufferSize(s.object)};
}

}  // namespace bgl::device::cpu
