# Somebody stops, shuts down or reboots a guest while it resets itself, at each place where the two can meet: it ends as they asked. Only a
# stop that finds no QEMU any more, because the last one has ended and Proxmox is about to start the next, is no stop: so it is with
# Proxmox's own reboot, too.
# machine: arc
# load: kvm-amd
# systemd: yes
# kernels: 6.12
# timeout: 1500
# turn: 8
. /lab/reboots.sh
reboot_host
usb=0000:05:00.0
card_conf 101 0000:03:00.0 0000:04:00.0 "$usb"
echo '{ "guest_reboot": { "most": 1000, "within": 60 } }' | settings

# meet WHAT PLACE STATE MORE_STARTS   the script of the place is on standard input; the guest resets itself there, or before
reader_sleeps=
meet() {
    local before ended
    say "--- $1, $2"
    [ "$(state_of 101)" = running ] || first_start 101
    expect_reader 101 armed
    before=$(starts 101)
    ended=$(grep -c '^cleanup' "$lab_run/tasks" || :)
    dirty "$usb"
    at "$2"
    case $2 in
    before-terminate | in-cleanup | before-qemu) vm_do 101 r ;;
    *)
        [ -z "$reader_sleeps" ] || kill -STOP "$(reader_pid 101)"
        qm "$1" 101 || fail "qm $1 has failed"
        ;;
    esac
    wait_until 60 has_cleanups 101 $((ended + 1)) || fail "no 'qm cleanup'"
    expect_was_at "$2"
    expect_vm 101 "$3" $((before + $4))
    expect_clean_starts 101
}
# Where it ends that is asked for.
for what in stop shutdown reboot; do
    state=stopped more=0
    [ $what != reboot ] || state=running more=1

    # The lock is theirs, and pre-stop comes after our request. Proxmox's own request is there before.
    meet $what before-pre-stop $state $more <<'SCRIPT'
vm_do $1 r
request_is $1 proxmox || wait_until 20 request_is $1 ours
wait_until 20 test ! -e /run/qemu-server/$1.pid
SCRIPT
    # pre-stop has run: a reset is no reason for a start. The machine is reset as before, or halted and ended if that comes first.
    meet $what after-pre-stop $state $more <<'SCRIPT'
before=$(ready_count $1)
vm_do $1 r
wait_until 20 reset_or_ended $1 $before
SCRIPT
    # Our request is there, and qmeventd has not ended QEMU when they come.
    meet $what before-terminate $state $more <<SCRIPT
wait_until 20 request_is \$1 ours
setsid qm $what \$1 </dev/null >>$lab_run/qm.log 2>&1 &
wait_until 20 test -e /run/pve-gpu-hook/stops/\$1
wait_until 5 request_is_not \$1 ours
SCRIPT
    # The reader is not there when pre-stop runs, and reads of the reset after it.
    reader_sleeps=yes
    meet $what after-pre-stop $state $more <<SCRIPT
vm_do \$1 r
usleep 500000
kill -CONT \$(systemctl show -p MainPID --value pve-gpu-hook-events@\$1)
wait_until 20 test ! -e /run/qemu-server/\$1.pid
SCRIPT
    reader_sleeps=

    # The new start is on its way and has the lock: they wait for it, and what they ask for happens to the new QEMU. Only Proxmox's
    # reboot does not wait: it says that the guest does not run, and it runs anew all the same.
    meet $what before-qemu $state 1 <<SCRIPT
setsid qm $what \$1 </dev/null >>$lab_run/qm.log 2>&1 &
SCRIPT
done

# They come when QEMU has ended and Proxmox is about to start the next one.
meet stop in-cleanup running 1 <<SCRIPT
setsid qm stop \$1 </dev/null >>$lab_run/qm.log 2>&1 &
SCRIPT
