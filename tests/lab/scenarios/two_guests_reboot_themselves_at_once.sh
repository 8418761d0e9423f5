# Two guests with a card each reboot themselves at once, and one alone: each is started anew with a clean card, and nobody else's is touched.
# machine: two_arcs
# load: kvm-amd
# systemd: yes
# kernels: 6.12
# timeout: 900
# turn: 8
. /lab/reboots.sh
reboot_host
card_conf 101 0000:03:00.0 0000:04:00.0 0000:05:00.0
card_conf 102 0000:08:00.0 0000:09:00.0 0000:0a:00.0
dirty 0000:05:00.0 0000:0a:00.0
first_start 101 armed
first_start 102 armed

say "one of them"
pid=$(vm_pid 102)
dirty 0000:05:00.0 0000:0a:00.0
vm_do 101 r
guest_says 101 ready 2
expect_vm 101 running 2
expect_vm 102 running 1
expect_equal "the other one's QEMU" "$pid" "$(vm_pid 102)"
expect_clean_starts 101
expect_still_dirty 0000:0a:00.0
expect_reader 101 armed

say "both at once"
dirty 0000:05:00.0 0000:0a:00.0
vm_do 101 r
vm_do 102 r
guest_says 101 ready 3
guest_says 102 ready 2
expect_vm 101 running 3
expect_vm 102 running 2
expect_clean_starts 101
expect_clean_starts 102
expect_reader 101 armed
expect_reader 102 armed

say "one is stopped, the other reboots itself"
vm_do 102 r
qm stop 101
guest_says 102 ready 3
expect_vm 102 running 3
expect_vm 101 stopped 3
