# On the target of a migration the VM's config is still with the source node.
# machine: arc
pve_host
mkdir -p /etc/pve/nodes/other/qemu-server
echo "hostpci0: 0000:03:00.0" >/etc/pve/nodes/other/qemu-server/101.conf
dirty_card 0000:05:00.0
hook 101 pre-start
expect_exit 1
expect_still_dirty 0000:05:00.0
hook 101 pre-start PVE_MIGRATED_FROM=other
expect_exit 0
expect_clean 0000:05:00.0
expect_bound_to_vfio 0000:03:00.0
