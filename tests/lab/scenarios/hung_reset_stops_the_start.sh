# The reset hangs in the kernel: the start fails within the deadline, nothing is removed, and what was switched off for the
# reset is switched on again.
# machine: arc
# slots: acpiphp pciehp
# core: yes
pve_host
settings <<'JSON'
{ "timeouts": { "reset": 3 } }
JSON
conf 101 <<'CONF'
hostpci0: 0000:03:00.0
CONF
dirty_card 0000:05:00.0
hang_writes /sys/bus/pci/devices/0000:00:1c.0/reset_subordinate
hook 101 pre-start
expect_exit 1
expect_no_waiting
expect_within 40000
expect_output 0000:00:1c.0
expect_present 0000:03:00.0 0000:04:00.0 0000:05:00.0
expect_file_says /run/pve-gpu-hook/101.json failed
expect_host_as_before

thaw_writes
real_writes /sys/bus/pci/devices/0000:00:1c.0/reset_subordinate
hook 101 pre-start
expect_exit 0
expect_bound_to_vfio 0000:03:00.0
expect_clean 0000:05:00.0
expect_host_as_before
