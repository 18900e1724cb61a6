#!/usr/bin/env bash
# Give a Debian or Ubuntu machine the system libraries that Qt and OpenGL need; do nothing elsewhere.
#
#   scripts/system-packages.sh [PYTHON]
#
# Checks first and leaves silently when nothing is missing. Installs as root or through sudo;
# where neither is possible it names the one line to run and stops.
set -euo pipefail

python=${1:-python3}
packages=(
    xvfb xauth libgl1 libegl1 libgl1-mesa-dri libfontconfig1 libdbus-1-3 libglib2.0-0
    libxkbcommon-x11-0 libxcb-cursor0 libxcb-icccm4 libxcb-image0 libxcb-keysyms1
    libxcb-randr0 libxcb-render-util0 libxcb-shape0 libxcb-xinerama0
)

if [ "$(uname -s)" != Linux ] || ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    exit 0
fi

is_installed() {
    # Newer releases call some of them NAMEt64; asking apt for NAME installs these.
    # dpkg-query fails when one of the two is unknown, which says nothing about the other.
    grep -qx installed <(dpkg-query -W -f='${db:Status-Status}\n' "$1" "$1t64" 2>/dev/null)
}

missing=()
for package in "${packages[@]}"; do
    is_installed "$package" || missing+=("$package")
done
# Debian ships Python without the part that makes virtual environments.
if [ ! -e .venv/pyvenv.cfg ] && ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    version=$("$python" -c 'import sys; print("{}.{}".format(*sys.version_info))')
    missing+=("python$version-venv")
fi
[ ${#missing[@]} -gt 0 ] || exit 0

line="apt-get update; apt-get install --yes --no-install-recommends ${missing[*]}"
if [ "$(id -u)" = 0 ]; then
    as_root=(bash -c)
elif command -v sudo >/dev/null && { [ -t 0 ] || sudo -n true 2>/dev/null; }; then
    as_root=(sudo bash -c)
else
    as_root=()
fi

echo "System libraries are missing: ${missing[*]}" >&2
if [ ${#as_root[@]} -gt 0 ] && "${as_root[@]}" "export DEBIAN_FRONTEND=noninteractive; $line"; then
    exit 0
fi
echo "They could not be installed from here. Run this once, then try again:" >&2
echo "    sudo sh -c '$line'" >&2
exit 1
