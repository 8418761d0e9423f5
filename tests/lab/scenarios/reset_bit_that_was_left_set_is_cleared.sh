# Somebody's reset has left the port's reset bit set: nothing below answers. It is cleared first, and the start is an ordinary one.
# machine: arc
# slots: acpiphp pciehp
# log: 0000:0[1-5]:0.\.0: .*(no space|failed to assign) — the whole card is removed: the kernel first looks for room in its port's windows, then gives the port larger ones
pve_host
conf 101 <<'CONF'
hostpci0: 0000:03:00.0
CONF
dirty_card 0000:05:00.0
host_facts >"$lab_run/host"
control=$(xxd -s 62 -l 1 -p $devices/0000:00:1c.0/config)
printf "\\x$(printf %x $((0x$control | 0x40)))" | dd of=$devices/0000:00:1c.0/config bs=1 seek=62 conv=notrunc 2>/dev/null
expect_equal "the reset bit" "$(printf %02x $((0x$control | 0x40)))" "$(xxd -s 62 -l 1 -p $devices/0000:00:1c.0/config)"
hook 101 pre-start
expect_exit 0
expect_within 30000 # three machines at once; alone it is a few seconds
expect_output "held its card in reset"
expect_bound_to_vfio 0000:03:00.0
expect_clean 0000:05:00.0
expect_host_as_before
