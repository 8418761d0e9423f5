# A process that has only the VFIO group open (QEMU just before it opens the device) is a holder as well.
# machine: arc
pve_host
conf 101 <<'CONF'
hostpci0: 0000:03:00.0
CONF
dirty_card 0000:05:00.0
to_vfio 0000:03:00.0
hold starting group "$(group_of 0000:03:00.0)"
expect_not_open 0000:03:00.0
remember 0000:03:00.0
hook 101 pre-start
expect_exit 1
expect_output "$(holder_pid starting)"
expect_file_says /run/pve-gpu-hook/101.json in-use
expect_untouched 0000:03:00.0
expect_still_dirty 0000:05:00.0
release starting
