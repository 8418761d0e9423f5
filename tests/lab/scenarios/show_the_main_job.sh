# What tests/lab/try shows: a dirty card before, after remove and rescan alone, and after the hook; and its neighbour.
# machine: two_arcs
# slots: pciehp
show() { echo "show: $*"; }
register_of() { witness_of "$1" | sed 's/^0x000000/0x/'; }
# look NAME   keeps what the two cards are like now
look() {
    local card
    card=$(register_of 0000:05:00.0)
    echo "$card $(driver_of 0000:03:00.0) $(driver_of 0000:04:00.0)" >"$lab_run/look.$1"
    echo "$(register_of 0000:0a:00.0) $(driver_of 0000:08:00.0) $(driver_of 0000:09:00.0)" >"$lab_run/look.$1.neighbour"
}
of() { cut -d ' ' -f "$2" "$lab_run/look.$1"; }
# row FIELD NAME WANTED_AFTER_THE_HOOK
row() {
    local after=✗ neighbour=✗ rescanned='  '
    [ "$(of hook "$1")" = "$3" ] && after=✓
    [ "$(of hook.neighbour "$1")" = "$(of before.neighbour "$1")" ] && neighbour=✓
    [ "$1" != 1 ] || [ "$(of rescan 1)" = "$3" ] || rescanned='✗ '
    show "$(printf '%-21s  %-15s  %-13s %s  %-13s %s   %-13s %s' "$2" "$(of before "$1")" "$(of rescan "$1")" "$rescanned" "$(of hook "$1")" "$after" \
        "$(of hook.neighbour "$1")" "$neighbour")"
}
# The last run's steps, with their times.
steps() {
    awk -F '"' '
        /"op"/ { op = $4 }
        /"target"/ { target = $4 }
        /"result"/ { result = $4 }
        /"elapsed_ms"/ && op { split($0, part, ": "); printf "show:   %-7s %-13s %-8s %5d ms\n", op, target, result, part[2]; op = "" }
        ' /run/pve-gpu-hook/101.pre-start.json
}
pve_host
conf 101 <<'C'
hostpci0: 0000:03:00.0,pcie=1
hostpci1: 0000:04:00.0,pcie=1
C
dirty 0000:05:00.0 0000:0a:00.0
look before
remove 0000:03:00.0 0000:04:00.0 0000:05:00.0
rescan 0000:03 0000:04 0000:05
wait_until 20 native_is_bound || fail "the native drivers do not come back"
look rescan
hook 101 pre-start
expect_exit 0
look hook

show ""
show "Linux $(uname -r). VM 101 has an Arc-like card without a function-level reset: GPU, audio and USB controller below a switch on"
show "the card. The register in the first row is one that only a reset of the card clears: 0x2a is what the VM left in it."
show ""
show "                       as the VM        removed and       after             its neighbour,"
show "                       left it          rescanned alone   pve-gpu-hook      the same as before"
row 1 "register 0000:05:00.0" 0x00
row 2 "GPU      0000:03:00.0" vfio-pci
row 3 "audio    0000:04:00.0" vfio-pci
show ""
show "# pve-gpu-hook 101 pre-start          (as Proxmox runs it)"
last_output | sed 's/^/show: /'
show ""
show "its steps:"
steps
expect_equal "the register after remove and rescan alone" 0x2a "$(of rescan 1)"
expect_bound_to_vfio 0000:03:00.0 0000:04:00.0
expect_clean 0000:05:00.0
expect_still_dirty 0000:0a:00.0
expect_equal "the neighbour" "$(cat "$lab_run/look.before.neighbour")" "$(cat "$lab_run/look.hook.neighbour")"
