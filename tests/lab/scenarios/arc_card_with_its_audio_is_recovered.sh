# GPU and audio of an Arc-like card, on two buses and in two hostpci lines, are both on vfio-pci after one reset.
# machine: arc
# slots: acpiphp pciehp
pve_host
conf 101 <<'CONF'
hostpci0: 03:00.0,pcie=1,x-vga=1
hostpci1: 04:00.0
CONF
dirty_card 0000:05:00.0
hook 101 pre-start
expect_exit 0
expect_clean 0000:05:00.0
expect_bound_to_vfio 0000:03:00.0 0000:04:00.0
expect_bars_assigned 0000:03:00.0
expect_bars_assigned 0000:04:00.0
expect_host_as_before
