# Guests that reboot themselves, for scenarios with `# systemd: yes`: a host with systemd, Proxmox's `qm`, `vzdump` and qmeventd
# (tests/stand-ins/host) and the package's units. Sourced by those.
. /lab/vm.sh
unalias -a

# --- the host ---

# reboot_host   what is there before the first guest starts
reboot_host() {
    pve_host
    mkdir -p /var/lib/vz/snippets "$lab_run/at"
    ln -sfn "$hook_program" /var/lib/vz/snippets/pve-gpu-hook
    : >"$lab_run/tasks"
    systemctl daemon-reload
    systemd-run --quiet --unit=qmeventd -p "StandardOutput=append:$lab_run/qmeventd" -p "StandardError=append:$lab_run/qmeventd" \
        /usr/sbin/qmeventd /run/qmeventd.sock
    wait_until 20 test -S /run/qmeventd.sock || fail "qmeventd does not listen"
}

# card_conf VMID GPU AUDIO USB [plain]   a guest with a card, and what the installer writes into `args`; plain: without that. USB, on the
# same card and not passed, is the witness.
our_words="-chardev socket,id=pve-gpu-hook,path=,server=on,wait=off -mon chardev=pve-gpu-hook,mode=control"
card_conf() {
    conf "$1" <<CONF
$hook_line
hostpci0: $2
hostpci1: $3
$([ "${5:-}" = plain ] || echo "args: $our_words")
CONF
    echo "$4" >"$lab_run/witness_of.$1"
}
# at PLACE <<'SCRIPT'   runs once where `at PLACE` stands in qm or qmeventd, with the VMID as its word
at() {
    { echo "#!/lab/bin/sh" && echo "export PATH=/lab/bin:/usr/sbin:/usr/bin; rm $lab_run/at/$1; . /lab/reboots_at.sh" && cat; } >"$lab_run/at.new"
    chmod +x "$lab_run/at.new"
    mv "$lab_run/at.new" "$lab_run/at/$1"
}
expect_was_at() { wait_until 60 test ! -e "$lab_run/at/$1" || { fail "nothing came to '$1'"; rm "$lab_run/at/$1"; }; }

# --- what there is to see ---

. /lab/reboots_at.sh
tasks() { grep -c "^$2 $1\$" "$lab_run/tasks" || :; }
starts() { tasks "$1" qmstart; }
state_of() { if [ -z "$(vm_running_locally "$1")" ]; then echo stopped; else mon_cmd "$1" query-status | sed 's/.*"status": "\([a-z-]*\)".*/\1/'; fi; }
nobody_works() { ! cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\0' ' ' | grep -q '/usr/sbin/q[m] '; }
is_settled() { [ "$(starts "$1")" = "$3" ] && nobody_works && [ "$(state_of "$1")" = "$2" ]; }
reader_pid() { systemctl show -p MainPID --value "pve-gpu-hook-events@$1"; }
another_reader() { case $(reader_pid "$1") in 0 | "$2") return 1 ;; esac; }
journal() { journalctl -q --no-pager -o cat -t pve-gpu-hook | grep "VM $1" || :; }

show_host() {
    echo "    tasks: $(tr '\n' ',' <"$lab_run/tasks")"
    echo "    reader: $(reader_note "${1:-101}")"
    tail -n 20 "$lab_run/qmeventd" 2>/dev/null | sed 's/^/    qmeventd: /'
    journalctl -q --no-pager -o short-monotonic -t pve-gpu-hook -t systemd 2>/dev/null | tail -n 30 | sed 's/^/    journal: /'
}

# expect_vm VMID STATE STARTS   where it ends, within a minute: the guest's state, how often it was started, and that nothing asks for one more
expect_vm() {
    if ! wait_until 60 is_settled "$@"; then
        expect_equal "state and starts of VM $1" "$2 $3" "$(state_of "$1") $(starts "$1")"
        nobody_works || fail "qm does not end"
        show_host "$1"
        return 1 # what comes after it would only wait
    fi
    expect_equal "request to start VM $1 anew" none "$(request_of "$1")"
}
# expect_off VMID STARTS CLEANUPS   stays off: `qm cleanup` was there as often as QEMU has ended
has_cleanups() { [ "$(grep -c "^cleanup:.* $1\$" "$lab_run/tasks")" -ge "$2" ]; }
expect_off() {
    wait_until 60 has_cleanups "$1" "$3" || fail "VM $1 has ended, and no 'qm cleanup' has seen it $3 times"
    expect_vm "$1" stopped "$2"
}
# expect_reader VMID STATE   within what a look takes (5 s), and much more where the real processors are busy; armed, waits ... The note is there a moment before QEMU is told.
expect_reader() {
    wait_until 40 reader_is "$1" "$2" || { fail "the reader of VM $1: expected '$2', seen '$(reader_note "$1")'"; show_host "$1"; return 1; }
    usleep 1000000
}
expect_journal() { journal "$1" | grep -qF -- "$2" || { fail "the journal does not say '$2' of VM $1"; show_host "$1"; }; }
# expect_clean_starts VMID   each QEMU since the last call was handed a clean card
expect_clean_starts() {
    ! grep -v '^0x00000000$' "$lab_run/handed_over.$1" || fail "VM $1 was started with a card that was not clean"
    : >"$lab_run/handed_over.$1"
}
# guest_says VMID TEXT TIMES   like vm_says, and as long as a new start takes; lab_patience in seconds
guest_says() { wait_until "${lab_patience:-60}" vm_said "$@" || { fail "VM $1 does not say '$2' ($3 times); it said: $(cat "$vm_directory/$1.said")"; show_host "$1"; return 1; }; }

# --- what is done ---

# first_start VMID [armed]   as an administrator does; the guest has looked at its devices, and the reader is armed
first_start() {
    local before
    before=$(ready_count "$1")
    qm start "$1" || { fail "VM $1 does not start"; show_host "$1"; return 1; }
    guest_says "$1" ready $((before + 1))
    [ "${2:-}" != armed ] || expect_reader "$1" armed
}

lab_words="$lab_words expect_vm expect_off expect_reader expect_journal expect_clean_starts expect_was_at guest_says first_start"
tell_lines
