# Each of eight cards needs five seconds for its reset: together they need little more. One after the other, as with
# 'parallel' 1, they need forty, which is more than the whole run has.
# machine: eight_cards
# timeout: 300
# turn: 4
pve_host
timeouts='"timeouts": { "reset": 20, "total": 30 }'
echo "{ $timeouts }" | settings
for n in 1 2 3 4 5 6 7 8; do echo "hostpci$n: 0000:0$n:00"; done | conf 101
for port in 8 9 a b c d e f; do slow_writes 5 /sys/bus/pci/devices/0000:00:0$port.0/reset_subordinate 1; done
for n in 1 2 3 4 5 6 7 8; do dirty 0000:0$n:00.2; done
hook 101 pre-start
cat /run/pve-gpu-hook/101.json | tr -d "\n" | sed "s,{,\n{,g" | grep elapsed_ms | cut -c1-160
expect_exit 0
for n in 1 2 3 4 5 6 7 8; do
    expect_clean 0000:0$n:00.2
    expect_bound_to_vfio 0000:0$n:00.0 0000:0$n:00.1 0000:0$n:00.2
done
expect_host_as_before
expect_output "recovered 8 GPUs in"
together=$(last_ms file)
say "together: $together ms"
[ "$together" -lt 15000 ] || fail "the cards were reset one after the other: $together ms"

echo "{ $timeouts, \"parallel\": 1 }" | settings
hook 101 pre-start
expect_exit 1
expect_output "recovery exceeded 30 s"
