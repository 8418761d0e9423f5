# The bus numbers of the switch on the card were overwritten, as by a rescan beside a reset: a rescan does not bring the GPU back, the whole card
# from its port does. Where nobody knows yet that the switch is on the card, it is left alone and the port named.
# machine: arc
# slots: acpiphp pciehp
# log: 0000:0[1-5]:0.\.0: .*(no space|failed to assign) — the whole card is removed: the kernel first looks for room in its port's windows, then gives the port larger ones
pve_host
conf 101 <<'CONF'
hostpci0: 0000:03:00.0
hostpci1: 0000:04:00.0
hostpci2: 0000:05:00.0
CONF
dirty_card 0000:05:00.0

say "nothing of the card is known yet"
remove 0000:03:00.0 0000:04:00.0 0000:05:00.0
overwrite 0000:01:00.0 0x1a 02
rescan 0000:02
expect_absent 0000:03:00.0 # the negative control: a rescan does not bring it back
hook 101 pre-start
expect_exit 1
expect_output "below port '0000:00:1c.0'"
expect_output "'0000:01:00.0' is on the graphics card or on the board"
expect_present 0000:01:00.0 0000:02:01.0
overwrite 0000:01:00.0 0x1a 05
hook 101 pre-start
expect_exit 0

say "after a good start"
dirty 0000:05:00.0
remove 0000:03:00.0 0000:04:00.0 0000:05:00.0
overwrite 0000:01:00.0 0x1a 02
hook 101 pre-start
expect_exit 0
expect_within 30000
expect_bound_to_vfio 0000:03:00.0 0000:04:00.0
expect_clean 0000:05:00.0

say "with its functions still known to the kernel, in every bridge"
dirty 0000:05:00.0
for bridge in 0000:02:01.0 0000:02:04.0 0000:02:05.0 0000:01:00.0; do
    overwrite $bridge 0x19 01
    overwrite $bridge 0x1a 01
done
hook 101 pre-start
expect_exit 0
expect_within 30000 # three machines at once; alone it is a few seconds
expect_bound_to_vfio 0000:03:00.0 0000:04:00.0
expect_clean 0000:05:00.0
