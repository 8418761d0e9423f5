# The Arc-like card is recovered, the ordinary card of another guest beside it is not even looked at by a reset or remove.
# machine: arc_and_slot
# slots: acpiphp pciehp
pve_host
conf 101 <<'CONF'
hostpci0: 0000:03:00.0
CONF
conf 102 <<'CONF'
hostpci0: 0000:06:00
CONF
dirty_card 0000:05:00.0 0000:06:00.2
remember 0000:06:00.0 0000:06:00.1 0000:06:00.2
hook 101 pre-start
expect_exit 0
expect_clean 0000:05:00.0
expect_still_dirty 0000:06:00.2
expect_untouched 0000:06:00.0 0000:06:00.1

dirty_card 0000:05:00.0
remember 0000:03:00.0 0000:04:00.0
hook 102 pre-start
expect_exit 0
expect_clean 0000:06:00.2
expect_bound_to_vfio 0000:06:00.0 0000:06:00.1 0000:06:00.2
expect_still_dirty 0000:05:00.0
expect_untouched 0000:03:00.0 0000:04:00.0
