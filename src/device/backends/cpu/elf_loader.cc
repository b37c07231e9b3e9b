#include "device/backends/cpu/elf_loader.h"

#include <elf.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <limits>
#include <vector>

namespace bgl::device::cpu {
namespace {

constexpr size_t kNowhere = std::numeric_limits<size_t>::max();
size_t round_up(size_t n, size_t to) { return (n + to - 1) / to * to; }

}  // namespace

// Sections keep their alignment; code comes first, constants after it on pages of their own, writable data last.
struct LoadedObject::Parser {
  std::string_view file;
  std::string& error;
  std::vector<Elf64_Shdr> sections;
  std::vector<size_t> places;  // of each section in the mapping
  size_t code_end = 0, constant_end = 0, total = 0;

  template <typename T>
  bool read(size_t offset, T& out) {
    if (offset > file.size() || file.size() - offset < sizeof(T)) return fail("is cut short at byte {}", offset);
    std::memcpy(&out, file.data() + offset, sizeof(T));
    return true;
  }
  template <typename... A>
  bool fail(fmt::format_string<A...> f, A&&... a) {
    error = "the object " + fmt::format(f, std::forward<A>(a)...);
    return false;
  }
  bool inside(const Elf64_Shdr& s) {
    return s.sh_type == SHT_NOBITS || (s.sh_offset <= file.size() && s.sh_size <= file.size() - s.sh_offset) ||
           fail("has a section of {} bytes at {}, beyond its {} bytes", s.sh_size, s.sh_offset, file.size());
  }
  std::string_view text_at(const Elf64_Shdr& strings, size_t offset) {
    if (offset >= strings.sh_size) return {};
    const char* start = file.data() + strings.sh_offset + offset;
    return {start, strnlen(start, strings.sh_size - offset)};
  }

  bool headers() {
    Elf64_Ehdr head;
    if (!read(0, head)) return false;
    if (std::memcmp(head.e_ident, ELFMAG, SELFMAG) != 0 || head.e_ident[EI_CLASS] != ELFCLASS64 || head.e_type != ET_REL ||
        head.e_machine != EM_X86_64 || head.e_shentsize != sizeof(Elf64_Shdr)) {
      return fail("is not an ELF64 x86-64 relocatable file");
    }
    sections.resize(head.e_shnum);
    for (size_t i = 0; i < sections.size(); ++i) {
      if (!read(head.e_shoff + i * sizeof(Elf64_Shdr), sections[i]) || !inside(sections[i])) return false;
    }
    return true;
  }

  void layout() {
    const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    places.assign(sections.size(), kNowhere);
    auto place = [&](auto wanted) {
      for (size_t i = 0; i < sections.size(); ++i) {
        const Elf64_Shdr& s = sections[i];
        // Unwind tables are of no use: kernels do not throw.
        if (!(s.sh_flags & SHF_ALLOC) || s.sh_type == SHT_X86_64_UNWIND || s.sh_size == 0 || !wanted(s)) continue;
        total = round_up(total, std::max<size_t>(s.sh_addralign, 16));
        places[i] = total;
        total += s.sh_size;
      }
      return total = round_up(total, page);
    };
    code_end = place([](const Elf64_Shdr& s) { return (s.sh_flags & SHF_EXECINSTR) != 0; });
    constant_end = place([](const Elf64_Shdr& s) { return !(s.sh_flags & (SHF_EXECINSTR | SHF_WRITE)); });
    place([](const Elf64_Shdr& s) { return (s.sh_flags & (SHF_EXECINSTR | SHF_WRITE)) == SHF_WRITE; });
  }

  bool symbol(const Elf64_Shdr& table, size_t index, Elf64_Sym& out, std::string_view& name) {
    if (table.sh_link >= sections.size() || index >= table.sh_size / sizeof(Elf64_Sym))
      return fail("names symbol {}, which it lacks", index);
    if (!read(table.sh_offset + index * sizeof(Elf64_Sym), out)) return false;
    name = text_at(sections[table.sh_link], out.st_name);
    return true;
  }

  bool relocate(char* base, const Elf64_Shdr& table) {
    if (table.sh_info >= places.size() || table.sh_link >= sections.size())
      return fail("has relocations for a section it lacks");
    if (places[table.sh_info] == kNowhere) return true;
    const Elf64_Shdr& target = sections[table.sh_info];
    for (size_t at = 0; at + sizeof(Elf64_Rela) <= table.sh_size; at += sizeof(Elf64_Rela)) {
      Elf64_Rela r;
      Elf64_Sym s;
      std::string_view name;
      if (!read(table.sh_offset + at, r) || !symbol(sections[table.sh_link], ELF64_R_SYM(r.r_info), s, name)) return false;
      if (s.st_shndx == SHN_UNDEF) return fail("needs the symbol '{}', which it does not define", name);
      if (s.st_shndx >= places.size() || places[s.st_shndx] == kNowhere)
        return fail("refers to '{}' in a section that is not loaded", name);
      const uint32_t type = ELF64_R_TYPE(r.r_info);
      const size_t width = type == R_X86_64_64 || type == R_X86_64_PC64 ? 8 : 4;
      if (r.r_offset > target.sh_size || target.sh_size - r.r_offset < width)
        return fail("has a relocation beyond its section");
      char* where = base + places[table.sh_info] + r.r_offset;
      const int64_t value =
          reinterpret_cast<int64_t>(base) + static_cast<int64_t>(places[s.st_shndx] + s.st_value) + r.r_addend;
      if (!apply(type, where, value))
        return fail("has a relocation of type {} to '{}' that is not supported or out of range", type, name);
    }
    return true;
  }
  static bool apply(uint32_t type, char* where, int64_t value) {
    const int64_t relative = value - reinterpret_cast<int64_t>(where);
    int64_t word = 0;
    switch (type) {
      case R_X86_64_64:
        std::memcpy(where, &value, 8);
        return true;
      case R_X86_64_PC64:
        std::memcpy(where, &relative, 8);
        return true;
      case R_X86_64_PC32:
      case R_X86_64_PLT32:
        word = relative;
        break;
      case R_X86_64_32S:
        word = value;
        break;
      case R_X86_64_32:
        if (value < 0 || value > std::numeric_limits<uint32_t>::max()) return false;
        std::memcpy(where, &value, 4);
        return true;
      default:
        return false;
    }
    const auto narrow = static_cast<int32_t>(word);
    if (narrow != word) return false;
    std::memcpy(where, &narrow, 4);
    return true;
  }
};

std::unique_ptr<LoadedObject> LoadedObject::load(std::string_view object, std::string& error) {
  Parser p{object, error, {}, {}};
  if (!p.headers()) return nullptr;
  p.layout();
  if (p.total == 0) return p.fail("has no code"), nullptr;
  std::unique_ptr<LoadedObject> out(new LoadedObject);
  void* memory = mmap(nullptr, p.total, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return p.fail("needs {} bytes of memory: {}", p.total, std::strerror(errno)), nullptr;
  out->base_ = static_cast<char*>(memory);
  out->bytes_ = p.total;
  for (size_t i = 0; i < p.sections.size(); ++i) {
    const Elf64_Shdr& s = p.sections[i];
    if (p.places[i] != kNowhere && s.sh_type != SHT_NOBITS)
      std::memcpy(out->base_ + p.places[i], object.data() + s.sh_offset, s.sh_size);
  }
  for (const Elf64_Shdr& s : p.sections) {
    if (s.sh_type == SHT_RELA && !p.relocate(out->base_, s)) return nullptr;
    if (s.sh_type != SHT_SYMTAB) continue;
    for (size_t i = 1; i < s.sh_size / sizeof(Elf64_Sym); ++i) {
      Elf64_Sym symbol;
      std::string_view name;
      if (!p.symbol(s, i, symbol, name)) return nullptr;
      if (ELF64_ST_BIND(symbol.st_info) == STB_LOCAL || name.empty()) continue;
      if (symbol.st_shndx == SHN_UNDEF) return p.fail("needs the symbol '{}', which it does not define", name), nullptr;
      if (symbol.st_shndx >= p.places.size() || p.places[symbol.st_shndx] == kNowhere) continue;
      const uint64_t place = p.places[symbol.st_shndx] + symbol.st_value;
      out->names_.append(name).push_back('\0');
      out->names_.append(reinterpret_cast<const char*>(&place), 8);
    }
  }
  if (mprotect(out->base_, p.code_end, PROT_READ | PROT_EXEC) != 0 ||
      (p.constant_end > p.code_end && mprotect(out->base_ + p.code_end, p.constant_end - p.code_end, PROT_READ) != 0)) {
    return p.fail("cannot be made executable: {}", std::strerror(errno)), nullptr;
  }
  return out;
}

LoadedObject::~LoadedObject() {
  if (base_) munmap(base_, bytes_);
}

void* LoadedObject::find(std::string_view name) const {
  for (size_t at = 0; at < names_.size();) {
    const std::string_view here(names_.c_str() + at);
    at += here.size() + 1;
    uint64_t place;
    std::memcpy(&place, names_.data() + at, 8);
    at += 8;
    if (here == name) return base_ + place;
  }
  return nullptr;
}

}  // namespace bgl::device::cpu
