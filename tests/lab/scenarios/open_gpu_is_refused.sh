# A running VM has the GPU open: another VM's start is refused, names the holder, and writes nothing.
# machine: arc
# slots: acpiphp pciehp
# core: yes
pve_host
conf 101 <<'CONF'
hostpci0: 0000:03:00.0
CONF
dirty_card 0000:05:00.0
to_vfio 0000:03:00.0
hold_vfio 0000:03:00.0
remember 0000:03:00.0 0000:04:00.0 0000:05:00.0
hook 101 pre-start
expect_exit 1
expect_no_waiting
expect_output "$(holder_pid 0000:03:00.0)"
expect_file_says /run/pve-gpu-hook/101.json in-use
expect_untouched 0000:03:00.0 0000:04:00.0 0000:05:00.0
expect_open 0000:03:00.0
expect_still_dirty 0000:05:00.0

release 0000:03:00.0
hook 101 pre-start
expect_exit 0
expect_clean 0000:05:00.0
