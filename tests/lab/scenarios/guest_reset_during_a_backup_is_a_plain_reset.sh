# A guest resets itself while it is backed up: its machine is reset as it was before there was a reader, and the backup goes on; the card
# is not recovered, and somebody says so. After the backup it is as before. What switches itself off during a backup stays until its end.
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
backup_begins() {
    vzdump 101 >"$lab_run/vzdump" 2>&1 &
    backup=$!
    wait_until 20 test -e "$lab_run/backup.101" || fail "no backup: $(cat "$lab_run/vzdump")"
}
backup_ends() {
    kill -0 $backup 2>/dev/null || fail "the backup was broken: $(cat "$lab_run/vzdump")"
    rm "$lab_run/backup.101"
    wait $backup || fail "the backup has failed: $(cat "$lab_run/vzdump")"
}
first_start 101 armed
pid=$(vm_pid 101)

say "the guest resets itself during the backup"
backup_begins
expect_reader 101 waits
expect_journal 101 "the card stays as it is for now: it is being backed up"
dirty "$usb"
vm_do 101 r
guest_says 101 ready 2
expect_vm 101 running 1
expect_equal "QEMU's process" "$pid" "$(vm_pid 101)"
expect_still_dirty "$usb"

say "the UI's Reset is refused while the guest is locked"
! qm reset 101 || fail "a locked guest was reset"
backup_ends

say "after the backup"
expect_reader 101 armed
vm_do 101 r
guest_says 101 ready 3
expect_vm 101 running 2
expect_clean_starts 101 || :

say "the backup came between: the reader has not seen it yet"
expect_reader 101 armed
pid=$(vm_pid 101)
dirty "$usb"
backup_begins
expect_reader_was=$(reader_note 101)
vm_do 101 r
began=$(uptime_ms)
guest_says 101 ready 4
[ $(($(uptime_ms) - began)) -lt 30000 ] || fail "the guest runs again only after $(($(uptime_ms) - began)) ms"
expect_vm 101 running 2
expect_equal "QEMU's process" "$pid" "$(vm_pid 101)"
say "the reader was: $expect_reader_was"
[ "$expect_reader_was" != armed ] || expect_journal 101 "goes on with the card as it is, which was not recovered: it is being backed up"
backup_ends
expect_vm 101 running 2
expect_reader 101 armed

say "the guest switches itself off during the backup, and is resumed"
backup_begins
vm_do 101 p
is_shutdown() { [ "$(state_of 101)" = shutdown ]; }
wait_until 20 is_shutdown || fail "the machine has not halted: $(state_of 101)"
usleep 3000000 # the reader disarms it meanwhile, or the reset of vm_resume would halt it again
qm start 101
guest_says 101 ready 5
expect_vm 101 running 3
expect_equal "QEMU's process" "$pid" "$(vm_pid 101)"

say "and once more, and stays off"
vm_do 101 p
wait_until 20 is_shutdown || fail "the machine has not halted: $(state_of 101)"
backup_ends
expect_off 101 3 2
