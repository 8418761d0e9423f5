# The task is stopped in the middle (SIGTERM, after 5 s SIGKILL): the next start repairs what is left and succeeds.
# turn: 2
# machine: arc
# slots: acpiphp pciehp
# timeout: 300
pve_host
conf 101 <<'CONF'
hostpci0: 0000:03:00.0
hostpci1: 0000:04:00.0
CONF
dirty_card 0000:05:00.0
for ms in 20 60 100 150 200 300 400; do
    lab_start_options="--term-after $ms"
    hook 101 pre-start
    expect_no_waiting
    lab_start_options=
    hook 101 pre-start
    expect_exit 0
    expect_bound_to_vfio 0000:03:00.0 0000:04:00.0
    expect_bars_assigned 0000:03:00.0
    expect_host_as_before
done
expect_clean 0000:05:00.0
