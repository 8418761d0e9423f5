# The GPU is gone for good: the start is refused with its name, and the rest of the card is not touched.
# turn: 2
# machine: arc
# slots: acpiphp pciehp
pve_host
conf 101 <<'CONF'
hostpci0: 0000:03:00.0
CONF
dirty_card 0000:05:00.0
remove 0000:03:00.0
unplug gpu0
remember 0000:04:00.0 0000:05:00.0
hook 101 pre-start
expect_exit 1
expect_output 0000:03:00.0
expect_file_says /run/pve-gpu-hook/101.json not-found
expect_absent 0000:03:00.0
expect_untouched 0000:04:00.0 0000:05:00.0
expect_still_dirty 0000:05:00.0
expect_host_as_before
