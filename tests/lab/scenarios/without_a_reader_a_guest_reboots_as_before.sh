# Nobody reads what QEMU tells: a guest's reset and the UI's Reset reset the machine in the same QEMU, and the card stays as it was; what
# a guest switches off stays off; Proxmox's own reboot gives a clean card. This is what the reader changes, and what it must not change.
# machine: arc
# load: kvm-amd
# systemd: yes
# kernels: 6.12
# timeout: 900
# turn: 8
. /lab/reboots.sh
reboot_host
usb=0000:05:00.0
card_conf 101 0000:03:00.0 0000:04:00.0 "$usb" plain

dirty "$usb"
first_start 101
expect_clean_starts 101
pid=$(vm_pid 101)

say "the guest resets its machine"
dirty "$usb"
vm_do 101 r
guest_says 101 ready 2
expect_still_dirty "$usb"
expect_vm 101 running 1

say "the UI's Reset"
qm reset 101
guest_says 101 ready 3
expect_still_dirty "$usb"
expect_vm 101 running 1
expect_equal "QEMU's process" "$pid" "$(vm_pid 101)"

say "Proxmox's own reboot"
qm reboot 101
guest_says 101 ready 4
expect_vm 101 running 2
expect_clean_starts 101

say "the guest switches itself off"
vm_do 101 p
expect_off 101 2 2

say "shutdown and stop"
first_start 101
qm shutdown 101
expect_off 101 3 3
first_start 101
vm_do 101 i
! qm shutdown 101 --timeout 3 || fail "a guest that ignores the button was shut down"
expect_vm 101 running 4
qm stop 101
expect_off 101 4 4
