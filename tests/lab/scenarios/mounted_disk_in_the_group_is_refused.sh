# The GPU's IOMMU group holds an NVMe disk with a mounted file system: Proxmox would tear it away, so the start is refused.
# machine: nvme_in_group
# load: nvme ext4
pve_host
conf 101 <<'CONF'
hostpci0: 0000:03:00
CONF
dirty_card 0000:03:00.2
wait_until 20 test -b /dev/nvme0n1 || fail "no disk"
mke2fs -F /dev/nvme0n1 >/dev/null 2>&1
mkdir -p /data
mount -t ext4 /dev/nvme0n1 /data
echo precious >/data/file
sync
remember 0000:03:00.0 0000:03:00.1 0000:03:00.2 0000:04:00.0
hook 101 pre-start
expect_exit 1
expect_output 0000:04:00.0
expect_file_says /run/pve-gpu-hook/101.json in-use
expect_untouched 0000:03:00.0 0000:03:00.1 0000:03:00.2 0000:04:00.0
expect_still_dirty 0000:03:00.2
echo 3 >/proc/sys/vm/drop_caches
expect_file_says /data/file precious

# Not mounted it is only a warning; the disk is not part of the card and is not reset by the hook.
umount /data
hook 101 pre-start
expect_exit 0
expect_output 0000:04:00.0
expect_clean 0000:03:00.2
expect_bound_to_vfio 0000:03:00.0 0000:03:00.1 0000:03:00.2
expect_present 0000:04:00.0
