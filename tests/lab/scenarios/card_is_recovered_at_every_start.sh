# The VM starts and stops ten times; each start begins with a dirty card and has a clean one.
# turn: 2
# machine: arc
# slots: acpiphp pciehp
# timeout: 300
pve_host
conf 101 <<'CONF'
hostpci0: 0000:03:00.0
hostpci1: 0000:04:00.0
CONF
for start in 1 2 3 4 5 6 7 8 9 10; do
    dirty 0000:05:00.0
    hook 101 pre-start
    expect_exit 0
    expect_clean 0000:05:00.0
    expect_bound_to_vfio 0000:03:00.0 0000:04:00.0
    hold_vfio 0000:03:00.0
    hook 101 post-start
    expect_exit 0
    release 0000:03:00.0
    hook 101 post-stop
    expect_exit 0
done
expect_host_as_before
