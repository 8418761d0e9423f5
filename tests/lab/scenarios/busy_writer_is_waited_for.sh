# Somebody else is busy in the PCI core, over and over, for some seconds: that is no reason to refuse the start.
# machine: arc_and_slot
pve_host
conf 101 <<'CONF'
hostpci0: 0000:03:00.0
CONF
dirty_card 0000:05:00.0
(
    until [ -e "$lab_run/enough" ]; do
        remove 0000:06:00.2
        rescan 0000:06
    done
) &
busy=$!
hook 101 pre-start
: >"$lab_run/enough"
wait $busy
expect_exit 0
expect_clean 0000:05:00.0
expect_bound_to_vfio 0000:03:00.0
expect_present 0000:06:00.2
