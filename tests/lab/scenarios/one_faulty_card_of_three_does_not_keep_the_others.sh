# A guest has three cards, and what is written to the second one fails in one way after the other: the first and the third are
# clean at the end, and once the fault is over all three.
# machine: eight_cards
# timeout: 300
# turn: 2
pve_host
settings <<JSON
{ "timeouts": { "unbind": 3, "remove": 3, "reset": 3, "rescan": 3, "reappear": 3, "bind": 3, "total": 30 } }
JSON
cards='1 2 3'
for n in $cards; do echo "hostpci$n: 0000:0$n:00"; done | conf 101
reset_file=/sys/bus/pci/devices/0000:00:09.0/reset_subordinate
remove_file=/sys/bus/pci/devices/0000:02:00.0/remove
rescan_file=/sys/class/pci_bus/0000:02/rescan

dirty_all() { for n in $cards; do present 0000:0$n:00.2 && dirty 0000:0$n:00.2; done; }
expect_card() { # NUMBER
    expect_clean 0000:0$1:00.2
    expect_bound_to_vfio 0000:0$1:00.0 0000:0$1:00.1 0000:0$1:00.2
}
start_again() {
    hook 101 pre-start
    expect_exit 0
    for n in $cards; do expect_card $n; done
    expect_host_as_before
    expect_no_file /run/pve-gpu-hook/journal/101.json
}

say "--- the reset is refused"
dirty_all
mount --bind $devices/0000:00:09.0/enable $reset_file # a port with a driver answers EBUSY
hook 101 pre-start
expect_exit 0
expect_output "refuses to reset it"
expect_output "recovered 3 GPUs in"
expect_output "card below '0000:00:09.0': wake"
expect_card 1
expect_card 3
expect_still_dirty 0000:02:00.2
umount $reset_file
start_again

say "--- the removal has no effect"
dirty_all
lying_writes $remove_file
hook 101 pre-start
expect_exit 1
expect_output "is still there after it was removed"
expect_clean 0000:01:00.2
expect_clean 0000:03:00.2
real_writes $remove_file
start_again

say "--- the rescan finds nothing"
dirty_all
lying_writes $rescan_file
hook 101 pre-start
expect_exit 1
expect_card 1
expect_card 3
expect_absent 0000:02:00.0
real_writes $rescan_file
start_again

say "--- the reset never returns"
dirty_all
hang_writes $reset_file
hook 101 pre-start
expect_exit 1
expect_output "write is stuck in the kernel"
expect_clean 0000:01:00.2
expect_clean 0000:03:00.2
for n in $cards; do expect_present 0000:0$n:00.0; done
thaw_writes
real_writes $reset_file
start_again

say "--- the removal never returns"
dirty_all
hang_writes $remove_file
hook 101 pre-start
expect_exit 1
expect_output "write is stuck in the kernel"
thaw_writes
real_writes $remove_file
start_again

say "--- the reset is slow"
dirty_all
slow_writes 2 $reset_file 1
hook 101 pre-start
expect_exit 0
for n in $cards; do expect_card $n; done
expect_output "'0000:00:09.0': wake"
real_writes $reset_file
