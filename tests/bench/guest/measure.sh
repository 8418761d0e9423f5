# Sourced by the benches in the lab (busybox ash).

bench_rounds=$(cat /bench/rounds)
# QEMU translates a program anew for each address that it is loaded at; at the same address it runs as on a processor.
echo 0 >/proc/sys/kernel/randomize_va_space
empty_list=/bench/empty
: >$empty_list

# run_timed PROGRAM WORD...   sets `took`, in microseconds, and `kib`, the most memory that it had
run_timed() {
    took=$(lab-stopwatch /bench/output "$@") || { fail "$*: $(cat /bench/output)"; return 1; }
    kib=${took#* }
    took=${took% *}
    # The hook's child ends a moment after the hook; it shall not run in the next one's time.
    usleep 50000
}

# The hook's writes to sysfs in their order, and after each removal and rescan what has to hold before the next write.
list_of_writes() {
    strace -f -y -s 200 -e trace=write -o /bench/trace "$@" >/bench/output 2>&1 || { cat /bench/output; return 1; }
    sed -n 's/.*write([0-9]*<\(\/sys\/[^>]*\)>, "\([^"]*\)".*/\1 \2/p' /bench/trace | awk '
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

# The same as a shell script.
script_from() {
    echo 'set -e'
    sed 's/^write \([^ ]*\) \(.*\)/echo "\2" >\1/
        s/^gone \(.*\)/while [ -e \1 ]; do :; done/
        s/^back \(.*\)/while [ ! -e \1 ]; do :; done/' "$1"
}

# And as Perl, in the style of Proxmox's own example.
perl_from() {
    echo 'use strict; use warnings;'
    echo 'sub put { open(my $file, ">", $_[0]) or die "$_[0]: $!"; syswrite($file, "$_[1]\n") or die "$_[0]: $!"; close($file); }'
    sed "s/^write \([^ ]*\) \(.*\)/put('\1', '\2');/
        s/^gone \(.*\)/1 while -e '\1';/
        s/^back \(.*\)/1 while !-e '\1';/" "$1"
}

# Milliseconds of the hook's report, and of them those of each kind of step.
hook_steps() {
    awk -F '[:", ]+' '
        $2 == "op" { op = $3 }
        $2 == "elapsed_ms" && op == "" { total = $3 }
        $2 == "elapsed_ms" && op != "" { sum[op] += $3; all += $3 }
        END {
            print total, sum["wake"] + sum["verify"], sum["unbind"] + 0, sum["reset"] + 0, sum["remove"] + 0, sum["rescan"] + 0,
                sum["bind"] + 0, total - all
        }' "/run/pve-gpu-hook/$1.json"
}
# The same of the floor's writes, in microseconds.
floor_steps() {
    awk '
        { kind = $2; sub(/.*\//, "", kind) }
        # The hook counts the hotplug service to its reset, and otherwise to none of its steps.
        $2 ~ /\/pciehp\// { kind = kind == "unbind" ? "reset" : "slot" }
        { sum[kind] += $1 }
        END {
            print sum["unbind"] + 0, sum["reset_subordinate"] + sum["reset"], sum["remove"] + 0, sum["rescan"] + 0,
                sum["driver_override"] + sum["bind"] + sum["control"] + sum["d3cold_allowed"],
                sum["new_id"] + sum["remove_id"] + sum["drivers_autoprobe"] + sum["drivers_probe"] + sum["slot"]
        }' "$1"
}

# measure NAME VMID FUNCTION...   the functions are what the guest gets
measure() {
    bench=$1
    vmid=$2
    shift 2
    # From the second start on the hook finds what it left, and so does everybody after it.
    run_timed $hook_program "$vmid" pre-start
    run_timed $hook_program "$vmid" pre-start
    list_of_writes $hook_program "$vmid" pre-start >/bench/list
    script_from /bench/list >/bench/no-sleep
    perl_from /bench/list >/bench/no-sleep.pl
    echo 'use strict; use warnings;' >/bench/nothing.pl
    echo "BENCH-WRITES $bench $(grep -c ^write /bench/list)"
    round=0
    while [ "$round" -lt "$bench_rounds" ]; do
        round=$((round + 1))
        measure_round "$@"
    done
}

# Each program's start is measured in the same round, with nothing to do.
measure_round() {
    run_timed $hook_program --version; line=$took
    run_timed $hook_program "$vmid" pre-start; line="$line $took"; memory=$kib
    steps=$(hook_steps "$vmid")
    expect_bound_to_vfio "$@"
    run_timed /bin/lab-floor $empty_list; line="$line $took"
    run_timed /bin/lab-floor /bench/list; line="$line $took"
    steps="$steps $(floor_steps /bench/output)"
    expect_bound_to_vfio "$@"
    run_timed /bin/sh $empty_list; line="$line $took"
    run_timed /bin/sh /bench/no-sleep; line="$line $took"
    expect_bound_to_vfio "$@"
    run_timed /bin/sh /bench/usual.sh "$@"; line="$line $took"
    expect_bound_to_vfio "$@"
    # Its part only: off the driver and on it again. The same number of its starts, with nothing to do, is taken off.
    run_timed /bin/sh /bench/driverctl.sh nothing "$@"; steps="$steps $took"
    run_timed /bin/sh /bench/driverctl.sh override "$@"; steps="$steps $took"
    expect_bound_to_vfio "$@"
    run_timed /usr/bin/perl /bench/nothing.pl; steps="$steps $took"
    run_timed /usr/bin/perl /bench/no-sleep.pl; steps="$steps $took"
    expect_bound_to_vfio "$@"
    echo "BENCH-ROUND $bench $line $steps $memory"
    # The usual script leaves the card a little different: put it as it was for the next round.
    run_timed $hook_program "$vmid" pre-start
}
