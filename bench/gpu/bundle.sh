#!/bin/bash
# Packs the GPU benchmark with all that a machine with nothing but a GPU driver lacks: Node.js, onnxruntime-node and
# the Vulkan loader, some 40 MB. Needs the npm registry, and apt's where the loader is to be packed (Debian, Ubuntu).
#
#   bench/gpu/bundle.sh OUTDIR        then, there:    bash OUTDIR/run.sh [arguments of the benchmark]
#                                    or, tests of test/extra/webgpu:     bash OUTDIR/run.sh --test NAME
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
out=$(realpath -m "${1:?usage: bundle.sh OUTDIR}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$out/debs"

# Files of JavaScript; esbuild is there as part of tsx.
cd "$root"
bundle() {
  npx --no-install esbuild --bundle --platform=node --format=esm --target=node20 --loader=ts \
    --external:onnxruntime-node --log-level=warning --alias:vitest=./bench/gpu/vitest-on-node.ts \
    --banner:js="import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);" \
    --outfile="$out/$1"
}
echo "import { main } from './bench/gpu/main.ts'; await main(process.argv.slice(2));" | bundle gpu.mjs
for file in test/extra/webgpu/*.test.ts; do
  echo "import './$file';" | bundle "$(basename "$file" .ts).mjs"
done

if [ ! -e "$out/node.xz" ]; then
  strip -s "$(readlink -f "$(command -v node)")" -o "$work/node" || cp "$(readlink -f "$(command -v node)")" "$work/node"
  xz -T0 -6 -c "$work/node" >"$out/node.xz"
fi

if [ ! -e "$out/onnxruntime.tar.xz" ]; then
  mkdir -p "$work/node_modules"
  for name in node common; do
    cp -rL "node_modules/onnxruntime-$name" "$work/node_modules/onnxruntime-$name"
  done
  rm -rf "$work"/node_modules/onnxruntime-node/{node_modules,bin/napi-v*/{darwin,win32,linux/arm64}}
  # CUDA's part is downloaded by an install script, where scripts are allowed; it is not needed.
  rm -f "$work"/node_modules/onnxruntime-node/bin/napi-v*/linux/x64/libonnxruntime_providers_{cuda,tensorrt}.so
  tar c -C "$work" node_modules | xz -T0 -6 >"$out/onnxruntime.tar.xz"
fi

# The loader, and what NVIDIA's driver expects beside it.
if command -v apt-get >/dev/null && ! ls "$out"/debs/*.deb >/dev/null 2>&1; then
  mkdir -p "$work/lists/partial"
  options=(-qq -o Dir::State::Lists="$work/lists" -o APT::Sandbox::User="$(id -un)" -o Debug::NoLocking=1)
  apt-get "${options[@]}" update
  (cd "$out/debs" && apt-get "${options[@]}" download libvulkan1 libegl1 libglvnd0 libopengl0 libgl1 libglx0 \
    libgles2 libx11-6 libxext6 libxcb1 libxau6 libxdmcp6 libbsd0 libmd0)
  # A tree that is carried elsewhere may not keep names with a percent sign.
  for package in "$out"/debs/*%3a*; do [ -e "$package" ] && mv "$package" "${package//%3a/-}"; done
fi

cat >"$out/run.sh" <<'RUN'
#!/bin/bash
# Unpacks the bundle once and runs the benchmark: bash run.sh [arguments]
set -e
bundle=$(cd "$(dirname "$0")" && pwd)
dir=${BUNDLE_DIR:-/tmp/postnas-gpu}
unpack() {
  if command -v xz >/dev/null; then xz -dc "$1"; else
    python3 -c 'import lzma, shutil, sys; shutil.copyfileobj(lzma.open(sys.argv[1]), sys.stdout.buffer)' "$1"
  fi
}
if [ ! -e "$dir/done" ]; then
  mkdir -p "$dir/root"
  unpack "$bundle/node.xz" >"$dir/node"
  chmod +x "$dir/node"
  unpack "$bundle/onnxruntime.tar.xz" | tar x -C "$dir"
  for package in "$bundle"/debs/*.deb; do [ -e "$package" ] && dpkg -x "$package" "$dir/root"; done
  touch "$dir/done"
fi
cp "$bundle"/*.mjs "$dir/"
if ! ldconfig -p 2>/dev/null | grep -q libvulkan.so.1; then
  export LD_LIBRARY_PATH="$dir/root/usr/lib/x86_64-linux-gnu${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
fi
# Where a container's driver lies outside the places that the loader looks in.
nvidia=/usr/local/nvidia/share
if [ -z "${VK_DRIVER_FILES:-}" ] && [ -e $nvidia/vulkan/icd.d/nvidia_icd.json ]; then
  export VK_DRIVER_FILES=$nvidia/vulkan/icd.d/nvidia_icd.json
  export __EGL_VENDOR_LIBRARY_FILENAMES=$nvidia/glvnd/egl_vendor.d/10_nvidia.json
fi
export XDG_RUNTIME_DIR=${XDG_RUNTIME_DIR:-/tmp}
if [ "${1:-}" = --test ]; then exec "$dir/node" --test-reporter=spec "$dir/$2.test.mjs"; fi
exec "$dir/node" "$dir/gpu.mjs" "$@"
RUN
du -sh "$out"
