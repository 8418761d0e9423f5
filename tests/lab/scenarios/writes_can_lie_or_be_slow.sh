# lying_writes takes a write and does nothing; slow_writes does it late; both leave the real file reachable.
# machine: arc
lying_writes /sys/bus/pci/devices/0000:03:00.0/remove
echo 1 >/sys/bus/pci/devices/0000:03:00.0/remove
expect_present 0000:03:00.0
remove 0000:03:00.0
expect_absent 0000:03:00.0

slow_writes 2 /sys/class/pci_bus/0000:03/rescan 1
before=$(uptime_ms)
echo 1 >/sys/class/pci_bus/0000:03/rescan
[ $(($(uptime_ms) - before)) -ge 1500 ] || fail "the write was not slow"
wait_until 20 present 0000:03:00.0 || fail "the slow write had no effect"
