#!/usr/bin/env bash
# What depends on the processor, on one that this machine need not be: Haswell, which has AVX2 and FMA but no VNNI, as most
# desktops and laptops. Products of bytes, attention over packed keys, and short texts of the models of the package run on
# QEMU's emulation of it. QEMU emulates neither AVX-512 nor AVX-VNNI: for those the machine must be one of them.
#
#   scripts/test-processors.sh      QEMU is taken from PATH, else from Debian, unpacked into .cache/qemu without root
set -euo pipefail
cd "$(dirname "$0")/.."

[ "$(uname -m)" = x86_64 ] || { echo "test-processors: needs Node.js for x86-64, this is $(uname -m)" >&2; exit 1; }
dir=$PWD/.cache/qemu
find_qemu() {
  PATH="$PATH:$dir/root/usr/bin" command -v qemu-x86_64-static || PATH="$PATH:$dir/root/usr/bin" command -v qemu-x86_64
}

if ! find_qemu >/dev/null; then
  command -v apt-get >/dev/null || { echo "test-processors: needs qemu-x86_64 (QEMU's user mode) on PATH" >&2; exit 1; }
  echo "test-processors: fetching QEMU into $dir" >&2
  rm -rf "$dir"
  mkdir -p "$dir"/{lists,archives,root}/partial
  options=(-qq -o Debug::NoLocking=1 -o APT::Sandbox::User="$(id -un)" -o Dir::State::Lists="$dir/lists"
    -o Dir::Cache="$dir" -o Dir::Cache::Archives="$dir/archives")
  apt-get "${options[@]}" update
  # Linked statically: no other package is needed.
  apt-get "${options[@]}" install -y --no-install-recommends --download-only --reinstall qemu-user-static
  for package in "$dir"/archives/*.deb; do dpkg -x "$package" "$dir/root"; done
  rm -rf "$dir"/{lists,archives,*.bin}
fi
qemu=$(find_qemu)

# Workers as threads: processes would run outside of the emulation.
export EMULATED=Haswell
# Without what QEMU would warn of, and no arithmetic needs.
cpu=Haswell-noTSX,-pcid,-x2apic,-tsc-deadline,-invpcid
exec "$qemu" -cpu "$cpu" "$(command -v node)" node_modules/vitest/vitest.mjs run --pool=threads \
  src/graph/right-bytes.test.ts src/graph/row-quantized.test.ts test/golden/few-bits.test.ts \
  src/runtime/kv/packed-attention.test.ts --testNamePattern 'product|saturate|keys and values are uint8|in 8 bits'
