# When the hook says that the host has to be switched off and on, nothing less helps: what it did itself is done once more by hand, with all of
# the card, in vain. Then QEMU gives the card its GPU back, as power does, and the next start is a good one.
# With pciehp slots QEMU would not take the GPU away: its port has "command completed" set from the reset on, which the kernel does not clear.
# machine: arc
# turn: 2
# log: 0000:0[1-5]:0.\.0: .*(no space|failed to assign) — the whole card is removed: the kernel first looks for room in its port's windows, then gives the port larger ones
step_seconds=20
. /lab/faults.sh
unbind $gpu # a secondary-vga that has shown something cannot be plugged in a second time
rmmod bochs
pve_host
settings <<'JSON'
{ "timeouts": { "reappear": 2, "reset": 3, "rescan": 20, "total": 60 }, "on_timeout": "fail" }
JSON
conf 101 <<CONF
hostpci0: $gpu
hostpci1: $audio
CONF
dirty_card $usb
hook 101 pre-start
expect_exit 0

by_hand() {
    remove 0000:01:00.0
    echo 1 >$devices/$port/reset_subordinate
    usleep 200000
    rescan 0000:01
    expect_absent $gpu
    expect_present $audio $usb
}
power_is_back() {
    plug "$1" driver=secondary-vga bus=gpu_port0
    dirty $usb
    hook 101 pre-start
    expect_exit 0
    expect_bound_to_vfio $gpu $audio
    expect_clean $usb
}

say "gone before the start"
remove $gpu
unplug gpu0
hook 101 pre-start
expect_exit 1
expect_output "switch the host off and on"
expect_output "is empty"
by_hand
power_is_back gpu1

say "gone while it is off the bus"
stop_at "$(file_of rescan)"
start_hook faulty 101 pre-start
wait_until_stopped
unplug gpu1
go_on "$(file_of rescan)" 1
wait_hook faulty
expect_exit 1
expect_output "power-cycle the host"
by_hand
power_is_back gpu2
