#!/bin/sh
# Installs the runtime into a folder, moves it, builds a C99 program against it
# with find_package and with pkg-config, and runs both.
#
#   installed.sh CMAKE BUILD SOURCE CC WRITE_ARTIFACT FLAGS
set -eu
cmake=$1 build=$2 source=$3 cc=$4 write=$5 flags=${6:-}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$cmake" --install "$build" --prefix "$work/first" --component runtime > "$work/log" || { cat "$work/log"; exit 1; }
mv "$work/first" "$work/prefix" # a package may be unpacked anywhere
"$write" "$work/add.tenon"

check() {
  found=$("$@" "$work/add.tenon")
  case $found in
  "1 3 5 by "*) ;;
  *) echo "wanted '1 3 5 by VERSION', found '$found'"; exit 1 ;;
  esac
}

"$cmake" -G Ninja -S "$source" -B "$work/build" -DCMAKE_PREFIX_PATH="$work/prefix" -DCMAKE_C_COMPILER="$cc" \
  -DCMAKE_C_FLAGS="$flags" > "$work/log" && "$cmake" --build "$work/build" > "$work/log" || { cat "$work/log"; exit 1; }
check "$work/build/uses_tenon"

libraries=$(find "$work/prefix" -name pkgconfig -type d)
export PKG_CONFIG_PATH="$libraries"
$cc -std=c99 -pedantic -Wall -Wextra -Werror $flags "$source/main.c" $(pkg-config --cflags --libs tenon-runtime) \
  -Wl,-rpath,"${libraries%/pkgconfig}" -o "$work/with-pkg-config"
check "$work/with-pkg-config"

# Small, and nothing visible that is not ours.
library=$(find "$work/prefix" -name 'libtenon_rt.so.?.*')
if [ -z "$flags" ]; then
  size=$(wc -c < "$library")
  [ "$size" -lt 1000000 ] || { echo "libtenon_rt.so has $size bytes, wanted less than 1000000"; exit 1; }
  if nm -D --defined-only "$library" | grep -v ' tenon_\| TENON_'; then
    echo "symbols besides tenon_* are visible"
    exit 1
  fi
fi
readelf -d "$library" | grep -q 'SONAME.*libtenon_rt.so.0' || { echo "no SONAME"; exit 1; }
echo "installed runtime works: find_package, pkg-config"
