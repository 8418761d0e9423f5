# A reader that ends at each moment, for the scenarios of that; `how` is kill, or restart as an upgrade does it. Sourced by those.
. /lab/reboots.sh
reboot_host
usb=0000:05:00.0
card_conf 101 0000:03:00.0 0000:04:00.0 "$usb"
echo '{ "guest_reboot": { "most": 1000, "within": 60 } }' | settings
first_start 101 armed
ready=1

# killed HOW   prints what does it to the reader that is there, and lets an upgraded one, which is stopped, go on
killed() {
    echo "reader=\$(systemctl show -p MainPID --value pve-gpu-hook-events@101)"
    case $1 in
    kill) echo '[ $reader = 0 ] || kill -KILL $reader' ;; # there may be none while the guest is started
    restart) echo "systemctl restart --no-block pve-gpu-hook-events@101; [ \$reader = 0 ] || kill -CONT \$reader 2>/dev/null || :" ;;
    esac
}
# runs_again   the guest was started anew with a clean card, once
runs_again() {
    ready=$((ready + 1))
    guest_says 101 ready $ready
    expect_vm 101 running $ready
    expect_clean_starts 101
    expect_reader 101 armed
}
say "--- $how: while it is armed"
reader=$(reader_pid 101)
killed $how | sh
# Five seconds are for a real processor; this one is emulated, and shares a real one.
wait_until 10 another_reader 101 "$reader" || fail "no other reader within 10 s"
expect_reader 101 armed
expect_equal "starts" $ready "$(starts 101)"
dirty "$usb"
vm_do 101 r
runs_again

say "--- $how: between reset and request, QEMU is still there"
reader=$(reader_pid 101)
at before-terminate <<SCRIPT
$(killed $how)
wait_until 40 request_is \$1 ours
SCRIPT
dirty "$usb"
kill -STOP "$reader"
vm_do 101 r
runs_again
expect_was_at before-terminate

say "--- $how: between reset and request, QEMU has ended"
reader=$(reader_pid 101)
at in-cleanup <<SCRIPT
wait_until 20 test ! -e /run/qemu-server/\$1.pid
$(killed $how)
wait_until 40 request_is \$1 ours
SCRIPT
dirty "$usb"
kill -STOP "$reader"
vm_do 101 r
runs_again
expect_was_at in-cleanup

say "--- $how: after the request"
at before-terminate <<SCRIPT
wait_until 20 request_is \$1 ours
$(killed $how)
usleep 500000
SCRIPT
dirty "$usb"
vm_do 101 r
runs_again
expect_was_at before-terminate

say "--- $how: while the guest is started"
at before-qemu <<SCRIPT
$(killed $how)
SCRIPT
dirty "$usb"
vm_do 101 r
runs_again
expect_was_at before-qemu
