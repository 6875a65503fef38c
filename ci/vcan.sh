#!/bin/bash
# Runs a command where there is a virtual CAN interface vcan0, and returns the command's exit status.
#
#   ci/vcan.sh .venv/bin/python -m pytest --bench vcan
#
# Uses the host's vcan0 if it has one or one can be made. Else starts a User-Mode Linux kernel (a Linux process; no
# KVM, no reboot) with SocketCAN, the host's files underneath, this project writable, and one CPU. Exit status 125:
# the command was not run, or nobody knows how it ended.
#
#   UNLOCK_RIG_VCAN=uml   take User-Mode Linux even if the host has vcan0
#   UNLOCK_RIG_VCANS=N    make N interfaces, vcan0 and those after it (default 1)
#   UNLOCK_RIG_VCAN_S=N   give up after N seconds (default 1800)

set -u
project=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
mode=${UNLOCK_RIG_VCAN:-}
count=${UNLOCK_RIG_VCANS:-1}
limit=${UNLOCK_RIG_VCAN_S:-1800}
packages="user-mode-linux iproute2 can-utils busybox-static kmod"

say() { echo "ci/vcan.sh: $*" >&2; }
die() { say "$*"; exit 125; }

[ $# -gt 0 ] || die "name a command to run, as: ci/vcan.sh make test"
[ "$(uname -s)" = Linux ] || die "virtual CAN exists on Linux alone; use --bench emulated here"

as_root=
if [ "$(id -u)" -ne 0 ] && sudo -n true 2>/dev/null; then as_root="sudo -n"; fi
may_root() { [ "$(id -u)" -eq 0 ] || [ -n "$as_root" ]; }

install_missing() { # what for, programs that must be there afterwards
    local why=$1 missing=() program
    shift
    for program in "$@"; do command -v "$program" >/dev/null || missing+=("$program"); done
    [ ${#missing[@]} -eq 0 ] && return
    command -v apt-get >/dev/null || die "$why needs ${missing[*]}; this system has no apt-get: install them by hand"
    may_root || die "$why needs ${missing[*]}; have an administrator run: apt-get install -y $packages"
    say "installing $packages"
    {
        $as_root apt-get update -q &&
            $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $packages
    } >&2 || die "apt-get failed: $why needs ${missing[*]}"
    for program in "$@"; do command -v "$program" >/dev/null || die "$why needs $program, and no package brought it"; done
}

# --- on the host ------------------------------------------------------------------------------------

PATH=$PATH:/usr/sbin:/sbin
# Tests that need vcan0 skip without it; with this promise they fail instead.
export UNLOCK_RIG_HAS_VCAN=1
made=()
host_vcan() {
    local number name
    [ "$mode" = uml ] && return 1
    for (( number = 0; number < count; number++ )); do
        name=vcan$number
        if [ ! -e /sys/class/net/$name ]; then
            may_root && command -v ip >/dev/null || return 1
            $as_root modprobe vcan 2>/dev/null
            $as_root ip link add dev "$name" type vcan mtu 72 2>/dev/null || return 1
            made+=("$name")
        fi
        (( $(cat /sys/class/net/$name/flags) & 1 )) || { may_root && $as_root ip link set "$name" up; } || return 1
    done
}
unmake() { for name in "${made[@]}"; do $as_root ip link delete "$name"; done; }

if host_vcan; then
    install_missing "watching the bus" candump
    say "vcan0 of this host"
    "$@"
    status=$?
    unmake
    exit $status
fi
unmake

# --- under User-Mode Linux --------------------------------------------------------------------------

install_missing "this kernel has no virtual CAN; running it under User-Mode Linux" linux.uml ip candump busybox insmod
modules=$(echo /usr/lib/uml/modules/*/kernel)
[ -d "$modules" ] || die "no modules of User-Mode Linux in /usr/lib/uml/modules; reinstall user-mode-linux"

mkdir -p "$project/out" || die "$project/out cannot be made"
work=$(mktemp -d "$project/out/vcan.XXXXXX") || die "no folder for the status in $project/out"
uml=
cleanup() {
    # TERM, for KILL would leave its memory file behind.
    [ -n "$uml" ] && kill "$uml" 2>/dev/null
    rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 125' INT TERM HUP

# The command, its folder and its environment, in words that a shell reads back.
{
    export -p
    printf 'cd %q || exit 125\n' "$PWD"
    printf '%q ' "$@"
    printf '</dev/null\n'
} > "$work/command"

cat > "$work/init" <<INIT
#!/bin/bash
# Not busybox's shell: it starts its own commands through /proc/self/exe, which at first is the host's.
# First of all the one place where it may write, so that what goes wrong can be told.
mount -t hostfs -o "$project" none "$project"
exec 2> "$work/trouble"
set -e
finish() { busybox poweroff -f; }
trap finish EXIT
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t tmpfs tmpfs /run
# can-dev before vcan: the order is that of their dependencies, and no modules.dep is needed.
for module in fs/overlayfs/overlay net/can/can net/can/can-raw net/can/can-bcm net/can/can-gw \\
    drivers/net/can/dev/can-dev drivers/net/can/vcan; do
    insmod "$modules/\$module.ko"
done
mkdir /run/upper /run/scratch /run/root
mount -t overlay -o lowerdir=/,upperdir=/run/upper,workdir=/run/scratch overlay /run/root
cd /run/root
mount -t hostfs -o "$project" none "/run/root$project"
mount -t proc proc proc
mount -t sysfs sysfs sys
mount -t tmpfs tmpfs run
mount -t tmpfs tmpfs dev
mkdir dev/pts dev/shm
mount -t devpts -o ptmxmode=666,newinstance devpts dev/pts
mount -t tmpfs tmpfs dev/shm
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
busybox mknod -m 666 dev/null c 1 3
busybox mknod -m 666 dev/zero c 1 5
busybox mknod -m 666 dev/full c 1 7
busybox mknod -m 666 dev/random c 1 8
busybox mknod -m 666 dev/urandom c 1 9
busybox mknod -m 666 dev/tty c 5 0
ip link set lo up
for (( number = 0; number < $count; number++ )); do
    ip link add dev "vcan\$number" type vcan mtu 72
    ip link set "vcan\$number" up
done
set +e
chroot /run/root /bin/bash "$work/command" 2>&1
echo \$? > "$work/status.new"
mv "$work/status.new" "$work/status"
INIT
chmod +x "$work/init"

say "this kernel has no vcan0; User-Mode Linux brings one"
# The kernel's console is its standard output, with CR line ends; the command's output comes by it too.
mkfifo "$work/console" || die "no pipe in $work"
sed -u 's/\r$//;/^reboot: System halted$/d' < "$work/console" &
filter=$!
timeout "$limit" linux.uml mem=2G rootfstype=hostfs rootflags=/ ro init="$work/init" \
    con=null con0=null,fd:1 quiet loglevel=1 </dev/null > "$work/console" 2>&1 &
uml=$!
wait "$uml"
ended=$?
uml=
wait "$filter"
[ -s "$work/status" ] || cat "$work/trouble" >&2
[ -s "$work/status" ] || die "the command did not run to its end under User-Mode Linux (it ended with status $ended)"
exit "$(cat "$work/status")"
