# hang_writes makes a writer hang as a stuck kernel does: in D, deaf to SIGKILL, until it is thawed.
# machine: arc
# kernels: 6.1 6.12 7.2
is_in_D() { [ "$(process_state "$1")" = D ]; }
is_gone() { [ -z "$(process_state "$1")" ] || [ "$(process_state "$1")" = Z ]; }

hang_writes /sys/bus/pci/devices/0000:03:00.0/remove
sh -c 'exec echo 1 >/sys/bus/pci/devices/0000:03:00.0/remove' &
writer=$!
wait_until 20 is_in_D $writer || fail "the writer does not hang: state '$(process_state $writer)'"
kill -KILL $writer
expect_equal "the writer after SIGKILL" D "$(process_state $writer)"
expect_present 0000:03:00.0
thaw_writes
wait_until 20 is_gone $writer || fail "the writer did not end with the thaw"
expect_present 0000:03:00.0

real_writes /sys/bus/pci/devices/0000:03:00.0/remove
echo 1 >/sys/bus/pci/devices/0000:03:00.0/remove
expect_absent 0000:03:00.0
