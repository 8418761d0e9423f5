# 500 starts and stops, native driver and back each time: no process, no file and no dynamic id is left, and the last start
# is as good as the first.
# machine: arc
# kernels: 6.12
# timeout: 1800
# turn: 12
pve_host
settings <<'JSON'
{ "after_stop": "native" }
JSON
conf 101 <<'CONF'
hostpci0: 0000:03:00.0
hostpci1: 0000:04:00.0
CONF
processes() { pgrep -f pve-gpu | wc -l; }
files() { find /run/pve-gpu-hook -type f | sort | tr '\n' ' '; }
round() {
    pve-gpu-hook 101 pre-start </dev/null >$lab_run/round 2>&1 || { fail "start $1: $(cat $lab_run/round)"; return 1; }
    has_driver 0000:03:00.0 vfio-pci || { fail "start $1 did not bind"; return 1; }
    pve-gpu-hook 101 post-stop </dev/null >$lab_run/round 2>&1 || { fail "stop $1: $(cat $lab_run/round)"; return 1; }
    has_driver 0000:03:00.0 bochs-drm || { fail "stop $1 did not give back: $(cat $lab_run/round)"; return 1; }
}
round 0
files_before=$(files)
memory_before=$(awk '/^MemAvailable/ { print $2 }' /proc/meminfo)
n=1
while [ $n -le 500 ]; do
    round $n || break
    n=$((n + 1))
done
expect_equal "rounds" 501 $n
expect_equal "processes of the hook" 0 "$(processes)"
expect_equal "files" "$files_before" "$(files)"
# An id that was left with vfio-pci could be taken from it.
for ids in "1234 1111 1af4 1100" "8086 2668 1af4 1100"; do
    ! echo "$ids" 2>/dev/null >$sys/bus/pci/drivers/vfio-pci/remove_id || fail "the id $ids was left with vfio-pci"
done
say "memory available: $memory_before kB before, $(awk '/^MemAvailable/ { print $2 }' /proc/meminfo) kB after"
dirty 0000:05:00.0
hook 101 pre-start
expect_exit 0
expect_clean 0000:05:00.0
expect_host_as_before
