# Sourced by the scripts that want one of Debian's packages.

# Installs a package; prints why not when it cannot: install_debian_package NAME
install_debian_package() {
    local as_root=()
    if ! command -v apt-get >/dev/null; then
        echo "this system has no apt-get"
        return 1
    fi
    if [ "$(id -u)" -ne 0 ]; then
        if ! command -v sudo >/dev/null || ! sudo -n true 2>/dev/null; then
            echo "apt-get needs root, and sudo asks for a password"
            return 1
        fi
        as_root=(sudo -n)
    fi
    local install=(env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=120)
    if ! { "${as_root[@]}" "${install[@]}" update &&
        "${as_root[@]}" "${install[@]}" install -y --no-install-recommends "$1"; } >&2; then
        echo "apt-get failed (see above)"
        return 1
    fi
}
