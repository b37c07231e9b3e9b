// Drives a fuzzer without libFuzzer: every file of the corpus, then seeded changes of them. Usage: X_fuzz CORPUS [ROUNDS]
#include <dirent.h>

#include <algorithm>
#include <csignal>
#include <fstream>
#include <iostream>
#include <iterator>
#include <random>
#include <vector>

#include "base/testing/fuzz.h"

namespace {

std::vector<std::string> corpus_of(const std::string& folder) {
  std::vector<std::string> paths, out;
  DIR* dir = opendir(folder.c_str());
  while (const dirent* entry = dir ? readdir(dir) : nullptr) {
    if (entry->d_name[0] != '.') paths.push_back(folder + "/" + entry->d_name);
  }
  if (dir) closedir(dir);
  std::sort(paths.begin(), paths.end());
  for (const std::string& path : paths) {
    std::ifstream file(path, std::ios::binary);
    out.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  return out;
}

// Changes that keep most of an input: bytes, bits, pieces taken out, doubled, or put in from another input.
std::string changed(std::string input, const std::vector<std::string>& corpus, std::mt19937& random) {
  for (unsigned left = 1 + random() % 3; left > 0 && !input.empty(); --left) {
    const size_t at = random() % input.size(), length = 1 + random() % 12;
    const std::string& other = corpus[random() % corpus.size()];
    switch (random() % 6) {
      case 0:
        input[at] = static_cast<char>(random());
        break;
      case 1:
        input[at] = static_cast<char>(input[at] ^ (1 << random() % 8));
        break;
      case 2:
        input.erase(at, length);
        break;
      case 3:
        input.insert(at, input.substr(random() % input.size(), length));
        break;
      case 4:
        input.insert(at, other.substr(random() % std::max<size_t>(1, other.size()), length));
        break;
      default:
        input[at] = static_cast<char>('0' + random() % 10);
    }
  }
  return input;
}

void run(const std::string& input) { LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(input.data()), input.size()); }

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> corpus = argc > 1 ? corpus_of(argv[1]) : std::vector<std::string>();
  if (corpus.empty()) {
    std::cerr << "usage: " << argv[0] << " CORPUS [ROUNDS]: CORPUS must hold a file\n";
    return 2;
  }
  const unsigned rounds = argc > 2 ? static_cast<unsigned>(std::stoul(argv[2])) : 20'000;
  std::signal(SIGABRT, [](int) { std::_Exit(1); });  // a plain failure for ctest
  for (const std::string& input : corpus) run(input);
  std::cout << corpus.size() << " inputs; changed ones from seed 1, " << rounds << " rounds\n";
  std::mt19937 random(1);
  for (unsigned round = 0; round < rounds; ++round) run(changed(corpus[round % corpus.size()], corpus, random));
  return 0;
}
