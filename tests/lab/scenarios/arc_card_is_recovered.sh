# A dirty Arc-like card is reset as a whole, comes back with its BARs, and its GPU is on vfio-pci; a second card stays as it is.
# machine: two_arcs
# slots: acpiphp pciehp
# load-first: vfio native
# core: yes
pve_host
conf 101 <<'CONF'
name: gaming
memory: 2048
hostpci0: 0000:03:00.0,pcie=1
CONF
dirty_card 0000:05:00.0 0000:0a:00.0
bars=$(assigned_bars 0000:03:00.0)
group=$(group_members 0000:03:00.0)
remember 0000:08:00.0 0000:09:00.0 0000:0a:00.0 0000:02:01.0 0000:01:00.0

hook 101 pre-start

expect_exit 0
expect_no_waiting
expect_clean 0000:05:00.0
expect_bound_to_vfio 0000:03:00.0
expect_driver 0000:04:00.0 snd_hda_intel
expect_equal "BARs of the GPU" "$bars" "$(assigned_bars 0000:03:00.0)"
expect_group_of 0000:03:00.0 "$group"
expect_not_open 0000:03:00.0
expect_file_says $devices/0000:03:00.0/power/control on

expect_still_dirty 0000:0a:00.0
expect_untouched 0000:08:00.0 0000:09:00.0 0000:0a:00.0
expect_host_as_before

# What Proxmox and QEMU do next.
proxmox_binds 0000:03:00.0
hold_vfio 0000:03:00.0
expect_open 0000:03:00.0
release 0000:03:00.0
