# The reader is killed, or restarted as an upgrade does it, at each moment: while it is armed, between the guest's reset and its request,
# after that, and while the guest is started. Another one takes over within five seconds, and the guest is started anew each time.
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
echo '{ "guest_reboot": { "most": 1000, "within": 60 } }' | settings
first_start 101 armed
unit=pve-gpu-hook-events@101
ready=1

# killed HOW   the reader that is there now
killed() {
    echo "reader_pid() { systemctl show -p MainPID --value $unit; }
reader=\$(reader_pid)"
    case $1 in
    kill) echo 'kill -KILL $reader' ;;
    restart) echo "systemctl restart --no-block $unit" ;;
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
for how in kill restart; do
    say "--- $how: while it is armed"
    reader=$(reader_pid 101)
    killed $how | sh
    wait_until 5 another_reader 101 "$reader" || fail "no other reader within 5 s"
    expect_reader 101 armed
    expect_equal "starts" $ready "$(starts 101)"
    dirty "$usb"
    vm_do 101 r
    runs_again

    say "--- $how: between reset and request, QEMU is still there"
    reader=$(reader_pid 101)
    at before-terminate <<SCRIPT
$(killed $how)
[ $how = kill ] || kill -CONT \$reader
wait_until 10 request_is \$1 ours
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
[ $how = kill ] || kill -CONT \$reader
SCRIPT
    dirty "$usb"
    kill -STOP "$reader"
    vm_do 101 r
    runs_again
    expect_was_at in-cleanup

    say "--- $how: QEMU has ended, and so has 'qm cleanup'"
    reader=$(reader_pid 101)
    at after-cleanup <<SCRIPT
$(killed $how)
[ $how = kill ] || kill -CONT \$reader
SCRIPT
    dirty "$usb"
    kill -STOP "$reader"
    vm_do 101 r
    # Nobody else starts it: the reader waits until nobody else can any more, a minute and a half.
    lab_patience=180
    runs_again
    lab_patience=60
    expect_was_at after-cleanup

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
done

say "--- kill: and the guest shuts itself down meanwhile"
reader=$(reader_pid 101)
ended=$(grep -c '^cleanup' "$lab_run/tasks")
kill -KILL "$reader"
vm_do 101 p
expect_off 101 $ready $((ended + 1))
