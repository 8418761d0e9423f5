# A VM starts with a card that its last guest has left dirty, runs, and stops, ten times: each start is as good as the first. Without
# the hook the eleventh is not.
# machine: arc
# qemu: yes
# turn: 4
# timeout: 600
. /lab/vm.sh
vm_witness_at=0000:05:00.0
pve_host
conf 101 <<CONF
$hook_line
hostpci0: 0000:03:00.0
hostpci1: 0000:04:00.0
CONF
for start in 1 2 3 4 5 6 7 8 9 10; do
    dirty 0000:05:00.0
    start_vm 101
    expect_handed_over 0x00000000
    expect_clean 0000:05:00.0
    expect_guest_sees 101 "1234:1111 class 0380"
    expect_guest_sees 101 "8086:2668 class 0403"
    vm_stop 101
done
expect_host_as_before
sed -i '/^hookscript:/d' /etc/pve/qemu-server/101.conf
dirty 0000:05:00.0
start_vm 101
expect_still_dirty 0000:05:00.0
vm_stop 101
