# Which Debian packages the project needs and why. Sourced by ./quickstart and ./check; install_packages makes sure that they are
# there: as root or through sudo without a question, else it says the one line to run and goes on if nothing is missing.

build_packages=(
  "g++:the C++20 compiler"
  "cmake:configures the build"
  "ninja-build:runs the build"
  "pkg-config:finds libraries"
  "python3:runs the build's checks"
  "ccache:makes a second build quick"
  "lld:links quickly"
  "libfmt-dev:text formatting"
  "libspdlog-dev:logs"
  "libcli11-dev:the command line"
  "libtomlplusplus-dev:configuration files"
  "nlohmann-json3-dev:JSON"
  "libzstd-dev:compressed documents and segments"
  "libdeflate-dev:.gz and .dz files"
  "zlib1g-dev:the metrics library asks for it"
  "libxxhash-dev:checksums"
  "libutf8proc-dev:Unicode tables"
  "libcld2-dev:which language a text is in"
  "libre2-dev:regular expressions that cannot hang"
  "libboost1.81-dev:the HTTP server (Asio and Beast)"
  "prometheus-cpp-dev:metrics"
  "libllvm19:compiles kernels while the program runs"
)
test_packages=(
  "libgtest-dev:the tests"
  "python3-venv:the OpenAI client, which is one of the tests"
)

missing_packages() {
  local entry name
  for entry in "$@"; do
    name=${entry%%:*}
    dpkg-query -W -f='${Status}' "$name" 2>/dev/null | grep -q 'install ok installed' || echo "$name"
  done
}

install_packages() {
  local missing entry sudo=""
  missing=$(missing_packages "$@")
  [ -z "$missing" ] && return 0
  echo "These Debian packages are missing:"
  for entry in "$@"; do
    grep -qx "${entry%%:*}" <<<"$missing" && printf '  %-22s %s\n' "${entry%%:*}" "${entry#*:}"
  done
  if [ "$(id -u)" != 0 ]; then
    if command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
      sudo="sudo -n"
    else
      echo "They can be installed by root, or through sudo. Run this, then the command again:"
      echo "  apt-get install -y" $missing
      return 1
    fi
  fi
  $sudo env DEBIAN_FRONTEND=noninteractive apt-get update -qq
  # shellcheck disable=SC2086
  $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
}
