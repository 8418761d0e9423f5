# Emulated functions that say they are alone in their slot (header type 00) each have a group of their own after a rescan, with or
# without the hook, which says so; those of a real card say that there are more, and stay together (slot_card_is_recovered).
# turn: 2
# machine: slot_header_00
pve_host
conf 101 <<'CONF'
hostpci0: 0000:01:00
CONF
expect_group_of 0000:01:00.0 "0000:01:00.0 0000:01:00.1 0000:01:00.2"
hook 101 pre-start
expect_exit 0
expect_bound_to_vfio 0000:01:00.0 0000:01:00.1 0000:01:00.2
expect_group_of 0000:01:00.0 0000:01:00.0
expect_output "'0000:01:00.1', '0000:01:00.2'"
remove 0000:01:00.0 0000:01:00.1 0000:01:00.2
rescan 0000:01
for each in 0000:01:00.0 0000:01:00.1 0000:01:00.2; do expect_group_of $each $each; done
