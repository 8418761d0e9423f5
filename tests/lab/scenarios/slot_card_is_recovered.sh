# A card whose functions share a slot and an IOMMU group is reset, and the whole group is on vfio-pci, as Proxmox wants it.
# machine: two_slots
# slots: acpiphp pciehp
# load-first: vfio native
# core: yes
pve_host
conf 101 <<'CONF'
hostpci0: 0000:01:00,pcie=1
CONF
dirty_card 0000:01:00.2 0000:02:00.2
remember 0000:02:00.0 0000:02:00.1
group=$(group_members 0000:01:00.0)
expect_equal "the group" "0000:01:00.0 0000:01:00.1 0000:01:00.2" "$group"
hook 101 pre-start
expect_exit 0
expect_clean 0000:01:00.2
expect_bound_to_vfio 0000:01:00.0 0000:01:00.1 0000:01:00.2
expect_bars_assigned 0000:01:00.0
for each in 0000:01:00.0 0000:01:00.1 0000:01:00.2; do expect_group_of $each "$group"; done
expect_no_output "IOMMU group"
expect_still_dirty 0000:02:00.2
expect_untouched 0000:02:00.0 0000:02:00.1
expect_host_as_before
