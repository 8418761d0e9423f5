# The GPU starts without addresses for its BARs (a rescan in the wrong place left it so): after the hook it has them again.
# machine: arc
# slots: acpiphp pciehp
# log: 0000:0[1-5]:0.\.0: .*(no space|failed to assign) — that is how the addresses are lost here
pve_host
conf 101 <<'CONF'
hostpci0: 0000:03:00.0
CONF
remove 0000:01:00.0
echo 1 >$devices/0000:00:1c.0/rescan
wait_until 20 present 0000:03:00.0 || fail "the card did not come back"
! has_bars 0000:03:00.0 || fail "the BARs were not lost"
hook 101 pre-start
expect_exit 0
expect_present 0000:03:00.0 0000:04:00.0 0000:05:00.0
expect_bars_assigned 0000:03:00.0
expect_bound_to_vfio 0000:03:00.0
