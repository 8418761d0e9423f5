# The hook is killed with SIGKILL at each of its writes, once alone and once with all of its children: the next start
# succeeds, and every switch of the host is as it was.
# machine: arc
# slots: acpiphp pciehp
# timeout: 600
# turn: 4
pve_host
conf 101 <<'CONF'
hostpci0: 0000:03:00.0
hostpci1: 0000:04:00.0
CONF
dirty_card 0000:05:00.0

fifo=$lab_run/blocked
mkfifo "$fifo"
# The child that writes waits in open() until somebody reads, which nobody does.
in_blocked_write() {
    for each in $(pidof pve-gpu-hook); do
        grep -qs fifo_open "/proc/$each/stack" && return 0
        grep -qs fifo_open "/proc/$each/wchan" && return 0
    done
    return 1
}
# lab-start's child; the hook's own children are in sessions of their own.
hook_pid() {
    for each in $(pidof pve-gpu-hook); do
        ! grep -q "^PPid:.$(cat "$lab_run/killed.pid")\$" "/proc/$each/status" || echo "$each"
    done
}
blocked_or_ended() { in_blocked_write || hook_ended killed; }
kill_at() {
    file=$1
    victims=$2
    [ -e "$file" ] || return 0
    mount --bind "$fifo" "$file"
    start_hook killed 101 pre-start
    wait_until 60 blocked_or_ended
    if in_blocked_write; then
        case $victims in
        all) kill -9 $(pidof pve-gpu-hook) ;;
        parent) kill -9 "$(hook_pid)" ;;
        esac
        wait_hook killed
        expect_killed_by 9
        expect_no_waiting
        at=$((at + 1))
    else
        wait_hook killed # this kernel or this run has no such write
    fi
    # A child that still waits there is let go, into nothing.
    kill -9 $(pidof pve-gpu-hook) 2>/dev/null || :
    umount -l "$file"
    hook 101 pre-start
    expect_exit 0
    expect_bound_to_vfio 0000:03:00.0 0000:04:00.0
    expect_bars_assigned 0000:03:00.0
    expect_host_as_before
    expect_no_file /run/pve-gpu-hook/journal/101.json
}
at=0
for victims in parent all; do
    for file in /sys/bus/pci/devices/0000:00:1c.0/d3cold_allowed /sys/bus/pci/drivers/vfio-pci/unbind \
        /sys/bus/pci_express/drivers/pciehp/unbind /sys/bus/pci/devices/0000:00:1c.0/reset_subordinate \
        /sys/bus/pci/devices/0000:03:00.0/remove /sys/bus/pci/devices/0000:04:00.0/remove \
        /sys/bus/pci/drivers_autoprobe /sys/bus/pci/drivers/vfio-pci/new_id /sys/class/pci_bus/0000:03/rescan \
        /sys/class/pci_bus/0000:04/rescan /sys/bus/pci/drivers/vfio-pci/remove_id \
        /sys/bus/pci_express/drivers/pciehp/bind /sys/bus/pci/drivers_probe /sys/bus/pci/drivers/vfio-pci/bind; do
        kill_at "$file" "$victims"
    done
done
say "killed at $at writes"
[ "$at" -ge 12 ] || fail "the hook was killed at $at writes only"
expect_clean 0000:05:00.0
hook 101 post-stop
expect_exit 0
expect_no_file /run/pve-gpu-hook/state/101.json
