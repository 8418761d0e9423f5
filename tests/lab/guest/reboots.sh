# Guests that reboot themselves, for scenarios with `# systemd: yes`: a host with systemd, Proxmox's `qm` and qmeventd (tests/stand-ins/host)
# and the package's units. Sourced by those.
. /lab/vm.sh
unalias -a
vm_log=said # as in qm: of all starts of a guest

# --- the host ---

# reboot_host   what is there before the first guest starts
reboot_host() {
    pve_host
    mkdir -p /var/lib/vz/snippets /lab/run/at
    ln -sfn "$hook_program" /var/lib/vz/snippets/pve-gpu-hook
    : >"$lab_run/tasks"
    systemctl daemon-reload
    systemd-run --quiet --unit=qmeventd -p "StandardOutput=append:$lab_run/qmeventd" -p "StandardError=append:$lab_run/qmeventd" \
        /usr/sbin/qmeventd /run/qmeventd.sock
    wait_until 20 test -S /run/qmeventd.sock || fail "qmeventd does not listen"
}
our_words="-chardev socket,id=pve-gpu-hook,path=,server=on,wait=off -mon chardev=pve-gpu-hook,mode=control"
# card_conf VMID GPU AUDIO [without our words: plain]   a guest with a card, and what the installer writes
card_conf() {
    conf "$1" <<CONF
$hook_line
hostpci0: $2
hostpci1: $3
$([ "${4:-}" = plain ] || echo "args: $our_words")
CONF
}
# at PLACE <<'SCRIPT'   runs where `at PLACE` stands in qm or qmeventd; of its own accord only once
at() {
    { echo '#!/lab/bin/sh'; echo "rm $lab_run/at/$1"; cat; } >"$lab_run/at/$1.new"
    chmod +x "$lab_run/at/$1.new"
    mv "$lab_run/at/$1.new" "$lab_run/at/$1"
}

# --- what there is to see ---

tasks() { grep -c "^$2 $1\$" "$lab_run/tasks" || :; }
starts() { tasks "$1" qmstart; }
state_of() { if [ -z "$(vm_running_locally "$1")" ]; then echo stopped; else mon_cmd "$1" query-status | sed 's/.*"status": "\([a-z-]*\)".*/\1/'; fi; }
request_of() {
    if [ ! -e "/run/qemu-server/$1.reboot" ]; then echo none
    elif [ -s "/run/qemu-server/$1.reboot" ]; then echo ours
    else echo proxmox; fi
}
nobody_works() { ! pgrep -f '^[^ ]*sh /usr/sbin/qm ' >/dev/null; }
count_of() { grep -c "^vm: $2" "$vm_directory/$1.said" || :; }
# What the guest saw of its card when it last looked.
seen_witness() { grep '^vm: .* class .* witness ' "$vm_directory/$1.said" | tail -n 1 | sed 's/.*witness //'; }

show_host() {
    echo "    tasks: $(tr '\n' ',' <"$lab_run/tasks")"
    tail -n 30 "$lab_run/qmeventd" 2>/dev/null | sed 's/^/    qmeventd: /'
    journalctl -q --no-pager -o short-monotonic -t pve-gpu-hook -t systemd 2>/dev/null | tail -n 30 | sed 's/^/    journal: /'
}
# expect_vm VMID STATE STARTS   in the end: the guest's state, how often it was started, and that nothing asks for one more
expect_vm() {
    wait_until 60 nobody_works || fail "qm does not end: $(pgrep -fl '/usr/sbin/qm')"
    expect_equal "state of VM $1" "$2" "$(state_of "$1")"
    expect_equal "starts of VM $1" "$3" "$(starts "$1")"
    expect_equal "request to start VM $1 anew" none "$(request_of "$1")"
}
# expect_clean_looks VMID   each of the guest's starts since the last call saw a clean card, and there were so many
looks_clean() { grep '^vm: .* class 0c03 witness ' "$vm_directory/$1.said" | sed 's/.*witness //' | tail -n +"$(($2 + 1))"; }

# --- what is done ---

# first_start VMID   as an administrator does; the guest has looked at its devices
first_start() {
    qm start "$1" || { fail "VM $1 does not start"; show_host; return 1; }
    guest_says "$1" ready 1
    sed 's/^/    | /' "$vm_directory/$1.said"
}
# guest_says VMID TEXT TIMES   like vm_says, and as long as a new start takes
guest_says() { wait_until 60 vm_said "$@" || { fail "VM $1 does not say '$2' ($3 times); it said: $(cat "$vm_directory/$1.said")"; show_host; return 1; }; }

lab_words="$lab_words expect_vm guest_says first_start"
tell_lines
