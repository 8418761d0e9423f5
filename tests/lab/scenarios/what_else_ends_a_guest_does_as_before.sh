# With a reader that is armed, all else that ends a guest does what it did without: Proxmox's own reboot, a shutdown, one that the guest
# ignores and the reader is armed again after it, a stop, a QEMU that is killed.
# machine: arc
# load: kvm-amd
# systemd: yes
# kernels: 6.12
# timeout: 900
# turn: 8
. /lab/reboots.sh
reboot_host
usb=0000:05:00.0
card_conf 101 0000:03:00.0 0000:04:00.0 "$usb"
first_start 101 armed

say "Proxmox's own reboot"
dirty "$usb"
qm reboot 101
guest_says 101 ready 2
expect_vm 101 running 2
expect_clean_starts 101
expect_reader 101 armed
expect_no_file /run/pve-gpu-hook/reboots/101

say "shutdown"
qm shutdown 101
expect_off 101 2 2

say "one that the guest ignores, and a reboot of its own after that"
first_start 101 armed
vm_do 101 i
! qm shutdown 101 --timeout 3 || fail "a guest that ignores the button was shut down"
expect_vm 101 running 3
expect_reader 101 armed
dirty "$usb"
vm_do 101 r
guest_says 101 ready 4
expect_vm 101 running 4
expect_clean_starts 101
expect_reader 101 armed

say "stop"
qm stop 101
expect_off 101 4 4

say "QEMU is killed"
first_start 101 armed
kill -KILL "$(vm_pid 101)"
expect_off 101 5 5
