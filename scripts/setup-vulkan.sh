#!/bin/bash
# A software Vulkan driver (Mesa's lavapipe) and the Vulkan loader, for WebGPU without a GPU. Everything is
# unpacked into a folder; nothing is installed and root is not needed. Debian 12's Mesa 22 is too old for Dawn,
# so there it comes from bookworm-backports. Good for checking results, not for timings.
#
#   scripts/setup-vulkan.sh DIR [COMMAND...]     sets up DIR unless done, then runs COMMAND with the driver
set -euo pipefail

dir=$(realpath -m "${1:?usage: setup-vulkan.sh DIR [COMMAND...]}")
shift
libraries="$dir/root/usr/lib/$(uname -m)-linux-gnu"

if [ ! -e "$dir/lvp.json" ]; then
  command -v apt-get >/dev/null || { echo "setup-vulkan: needs apt-get (Debian or Ubuntu)" >&2; exit 1; }
  echo "setup-vulkan: fetching lavapipe into $dir" >&2
  rm -rf "$dir"/{lists,archives,root}
  mkdir -p "$dir"/{lists,archives,root}/partial
  . /etc/os-release

  # The system's own sources, and backports where Mesa is too old.
  sources="$dir/sources.list"
  if [ -e /etc/apt/sources.list ]; then cp /etc/apt/sources.list "$sources"; else : >"$sources"; fi
  target=()
  if [ "$VERSION_CODENAME" = bookworm ]; then
    mirror=$(sed -n 's/^URIs: *//p' /etc/apt/sources.list.d/debian.sources 2>/dev/null | head -1)
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] ${mirror:-http://deb.debian.org/debian} bookworm-backports main" >>"$sources"
    target=(-t bookworm-backports)
  fi
  options=(-qq -o Debug::NoLocking=1 -o APT::Sandbox::User="$(id -un)" -o Dir::Etc::sourcelist="$sources"
    -o Dir::State::Lists="$dir/lists" -o Dir::Cache="$dir" -o Dir::Cache::Archives="$dir/archives")
  apt-get "${options[@]}" update
  # All packages that the system lacks, downloaded only.
  apt-get "${options[@]}" "${target[@]}" install -y --no-install-recommends --download-only --reinstall \
    libvulkan1 mesa-vulkan-drivers
  for package in "$dir"/archives/*.deb; do dpkg -x "$package" "$dir/root"; done
  rm -rf "$dir"/{lists,archives,sources.list,*.bin}

  driver="$libraries/libvulkan_lvp.so"
  if LD_LIBRARY_PATH="$libraries" ldd "$driver" | grep 'not found' >&2; then
    echo "setup-vulkan: $driver lacks the libraries above" >&2
    exit 1
  fi
  printf '{"ICD":{"api_version":"1.4.0","library_path":"%s"},"file_format_version":"1.0.0"}\n' "$driver" >"$dir/lvp.json"
fi

[ $# -gt 0 ] || exit 0
export VK_DRIVER_FILES="$dir/lvp.json"
export LD_LIBRARY_PATH="$libraries${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
export XDG_RUNTIME_DIR="${XDG_RUNTIME_DIR:-/tmp}"
exec "$@"
