# A guest has eight cards, and the hook is killed with SIGKILL in the middle of each stage, with all of its children: the next start
# succeeds, and every switch of the host is as it was.
# machine: eight_cards
# timeout: 600
# turn: 8
. /lab/faults.sh
. /lab/eight_cards.sh
pve_host
cards_for 101 $all_cards
hook 101 pre-start
expect_exit 0
# Also one that was only just made.
nobody_waits() {
    is_stopped || return 0
    kill -KILL $(pidof pve-gpu-hook)
    return 1
}
kill_in() {
    local file=$1
    say "--- killed at $file"
    dirty_cards $all_cards
    stop_at "$file"
    cell_fault=$file
    start_hook killed 101 pre-start
    wait_until_stopped
    kill -KILL $(pidof pve-gpu-hook)
    wait_hook killed
    expect_killed_by 9
    umount -l "$file"
    wait_until 20 nobody_waits
    hook 101 pre-start
    expect_exit 0
    expect_cards $all_cards
    expect_host_as_before
    expect_no_file /run/pve-gpu-hook/journal/101.json
}
kill_in /sys/bus/pci/devices/0000:04:00.0/power/control
kill_in /sys/bus/pci/drivers/vfio-pci/unbind
kill_in /sys/bus/pci/devices/0000:00:0b.0/reset_subordinate
kill_in /sys/bus/pci/devices/0000:04:00.0/remove
kill_in /sys/class/pci_bus/0000:04/rescan
native_first # else vfio-pci takes what is found, and nothing is bound
kill_in /sys/bus/pci/drivers/vfio-pci/bind
