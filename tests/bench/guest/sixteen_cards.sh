# Guests with one, four, eight and all of sixteen cards, on an empty host and on a busy one.
# log: bridge window \[io  size 0x1000\]: (can't assign; no space|failed to assign) — sixteen ports ask for more I/O addresses than a machine has; no card here needs one
slots=$(lab_slots)
rounds=$(cat /bench/rounds)
# Always at the same address: that is the same for every round.
echo 0 >/proc/sys/kernel/randomize_va_space

# run_timed PROGRAM WORD...   sets `took`, in microseconds, and `kib`, the most memory that it had
run_timed() {
    took=$(lab-stopwatch /bench/output "$@") || { fail "$*: $(cat /bench/output)"; return 1; }
    kib=${took#* }
    took=${took% *}
    # The hook's child ends a moment after the hook; it shall not run in the next one's time.
    usleep 50000
}

# The hook's writes to sysfs in their order, without the end of the line, and after each removal and rescan what has to hold before the next write.
list_of_writes() {
    strace -f --seccomp-bpf -y -s 200 -e trace=write -o /bench/trace "$@" >/bench/output 2>&1 || { cat /bench/output; return 1; }
    sed -n 's/.*write([0-9]*<\(\/sys\/[^>]*\)>, "\([^"\\]*\).*/\1 \2/p' /bench/trace | awk '
        { print "write", $0 }
        $1 ~ /\/remove$/ {
            device = $1
            sub(/\/remove$/, "", device)
            print "gone", device
            removed[device] = 1
        }
        $1 ~ /\/rescan$/ {
            bridge = $1
            sub(/\/pci_bus\/.*/, "", bridge)
            for (device in removed) {
                above = device
                sub(/\/[^\/]*$/, "", above)
                if (above != bridge) continue
                print "back", device
                delete removed[device]
            }
        }'
}

# with CARDS COMMAND...   calls it with the guest's number and the functions that the guest gets
with() {
    local cards=$1 command=$2 n=0 functions=
    while [ "$n" -lt "$cards" ]; do
        n=$((n + 1))
        functions="$functions $(printf '0000:%02x:00.0 0000:%02x:00.1' $n $n)"
    done
    # shellcheck disable=SC2086 # a list of words
    "$command" "$((100 + cards))" $functions
}

# From the second start on the hook finds what it left, and so does the floor after it.
prepare() {
    local vmid=$1 n=0 each
    shift
    for each in "$@"; do
        case $each in *.0) echo "hostpci$n: ${each%.0}" && n=$((n + 1)) ;; esac
    done >/bench/conf
    conf "$vmid" </bench/conf
    run_timed $hook_program "$vmid" pre-start
    run_timed $hook_program "$vmid" pre-start
    list_of_writes $hook_program "$vmid" pre-start >"/bench/list.$vmid"
    echo "BENCH-WRITES $slots $n $(grep -c ^write "/bench/list.$vmid")"
}

measure() {
    local vmid=$1 round=0 line
    shift
    while [ "$round" -lt "$rounds" ]; do
        round=$((round + 1))
        run_timed $hook_program "$vmid" pre-start
        line="$took $kib"
        expect_bound_to_vfio "$@"
        run_timed /bin/lab-floor "/bench/list.$vmid"
        expect_bound_to_vfio "$@"
        echo "BENCH-ROUND $slots $host $(($# / 2)) $line $took $processes"
    done
}

pve_host
# All sixteen first: then the cards that a smaller guest does not have are on vfio-pci, too. While a twin has no driver, the hook does
# not tell vfio-pci the card's ids.
for cards in 16 8 4 1; do with "$cards" prepare; done
for host in empty busy; do
    [ $host = empty ] || lab-crowd 2001
    set -- /proc/[0-9]*
    processes=$#
    for cards in 1 4 8 16; do with "$cards" measure; done
done
