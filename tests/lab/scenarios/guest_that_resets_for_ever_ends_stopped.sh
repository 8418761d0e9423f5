# A guest resets itself over and over: five times it is started anew, the sixth time it stays off, with a message that says why and how it
# is started; it can be started; and once those five are long enough ago, it is started anew again.
# machine: arc
# load: kvm-amd
# systemd: yes
# kernels: 6.12
# timeout: 900
# turn: 8
. /lab/reboots.sh
reboot_host
usb=0000:05:00.0
card_conf 101 0000:03:00.0 0000:04:00.0 "$usb"
first_start 101 armed
for each in 1 2 3 4 5; do
    dirty "$usb"
    vm_do 101 r
    guest_says 101 ready $((each + 1))
    expect_vm 101 running $((each + 1))
    expect_reader 101 armed
done
expect_clean_starts 101
vm_do 101 r
expect_off 101 6 6
expect_journal 101 "was started anew too often before"
expect_journal 101 "'qm start 101' starts it"

say "an administrator starts it"
first_start 101
expect_reader 101 armed
say "five within half a minute, and no longer ten: that is over"
echo '{ "guest_reboot": { "most": 5, "within": 30 } }' | settings
last=$(tail -n 1 /run/pve-gpu-hook/reboots/101)
half_a_minute_has_passed() { [ "$(($(uptime_ms) / 1000))" -gt $((last + 30)) ]; }
wait_until 40 half_a_minute_has_passed || fail "the time of the last restart is $last, and now it is $(uptime_ms) ms"
for each in 7 8 9 10; do
    vm_do 101 r
    guest_says 101 ready $((each + 1))
    expect_vm 101 running $((each + 1))
    expect_reader 101 armed
done
