# The task is stopped while a write hangs in the kernel: Proxmox is free at once, and after the thaw the next start succeeds.
# turn: 2
# machine: arc
# slots: acpiphp pciehp
pve_host
conf 101 <<'CONF'
hostpci0: 0000:03:00.0
CONF
dirty_card 0000:05:00.0
hang_writes /sys/bus/pci/devices/0000:03:00.0/remove
lab_start_options="--term-after 4000"
hook 101 pre-start
lab_start_options=
expect_no_waiting
expect_within 20000
expect_equal drivers_autoprobe 1 "$(cat $sys/bus/pci/drivers_autoprobe)"
thaw_writes
real_writes /sys/bus/pci/devices/0000:03:00.0/remove
hook 101 pre-start
expect_exit 0
expect_bound_to_vfio 0000:03:00.0
expect_clean 0000:05:00.0
expect_host_as_before
