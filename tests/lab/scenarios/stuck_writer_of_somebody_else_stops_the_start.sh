# Somebody removes a device that a VM has open: the kernel's PCI core is locked for as long as that VM runs. The start is
# refused at once; when the lock is free again it goes through.
# machine: two_arcs
pve_host
conf 101 <<'CONF'
hostpci0: 0000:03:00.0
CONF
is_in_D_or_S() { case $(process_state "$1") in D | S) ;; *) return 1 ;; esac; }
in_vfio_unregister() { grep -q vfio_unregister_group_dev "/proc/$1/stack"; }
is_gone() { [ -z "$(process_state "$1")" ] || [ "$(process_state "$1")" = Z ]; }
dirty_card 0000:05:00.0
to_vfio 0000:08:00.0
hold_vfio 0000:08:00.0
remember 0000:03:00.0
sh -c 'exec echo 1 >/sys/bus/pci/devices/0000:08:00.0/remove' &
writer=$!
wait_until 20 in_vfio_unregister $writer || fail "the writer is not stuck: $(cat /proc/$writer/stack)"
hook 101 pre-start
expect_exit 1
expect_within 30000
expect_no_waiting
expect_output "$writer"
expect_file_says /run/pve-gpu-hook/101.json stuck-writer
expect_untouched 0000:03:00.0

release 0000:08:00.0
wait_until 30 is_gone $writer || fail "the writer is still stuck"
hook 101 pre-start
expect_exit 0
expect_clean 0000:05:00.0
