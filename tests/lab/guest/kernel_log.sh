# The kernel's log of a scenario is judged: what the kernel complains of fails the scenario, whatever else was expected of it.
#
# An exception is a line of the scenario's header, and holds for the lines that its (extended) regular expression matches:
#   # log: REGULAR_EXPRESSION — why the kernel says so here, and why that is right
#   # log 6.1 7.2: ...      on these kernels;      # log pciehp: ...      with these slots
# One that matched nothing, but for "# log may: ...", is a fault of its own: what is not said any more need not be excepted.

lab_log_mark="lab: the scenario begins"

# Complaints. The kernel's own word for what it has enabled at a port is none.
lab_log_bad='\] (WARNING: |BUG: |kernel BUG |Oops|Kernel panic|general protection fault|Unable to handle |refcount_t: |INFO: task .* blocked for more than )|can.t assign|failed to assign|no space for |AER: |PCIe Bus Error|DMAR: .*[Ff]ault'
lab_log_good='AER: enabled with IRQ'
# What an emulated processor that waits for a real one brings about, too: only the runner can tell, by running it again alone.
lab_log_stall='rcu: .*(stall|starved)|rcu_[a-z]*: .*stall|soft lockup|hard LOCKUP|clocksource: (timekeeping watchdog|.*(unstable|skew|read-?back|wd-))|Marking TSC unstable'

begin_kernel_log() { echo "$lab_log_mark" >/dev/kmsg; }

# As the scenarios' headers name it: any 7.* stands for 7.2.
lab_kernel_series() { uname -r | sed 's/^7\..*/7.2/; s/^\([0-9]*\.[0-9]*\).*/\1/'; }
lab_slots() { if ls "$sys"/bus/pci_express/drivers/pciehp/0* >/dev/null 2>&1; then echo pciehp; else echo acpiphp; fi; }

# log_exceptions SCENARIO_FILE   those of this kernel and these slots
log_exceptions() {
    local line words slots kernel
    slots=$(lab_slots) kernel=$(lab_kernel_series)
    sed -n 's/^# log\([ :]\)/\1/p' "$1" | while IFS= read -r line; do
        words=${line%%: *}
        case "$words " in
        *" $slots "*) ;;
        *" acpiphp "* | *" pciehp "*) continue ;;
        esac
        case "$words " in
        *" $kernel "*) ;;
        *" "[0-9]*) continue ;;
        esac
        case "$words " in *" may "*) printf 'may ' ;; esac
        echo "${line#"$words": }"
    done
}
# judge_kernel_log SCENARIO_FILE
judge_kernel_log() {
    local exception expression
    dmesg >"$lab_run/kernel_log"
    grep -qF "$lab_log_mark" "$lab_run/kernel_log" || { fail "the kernel's log has lost its beginning: nobody can judge it"; return 0; }
    sed "1,/$lab_log_mark/d" "$lab_run/kernel_log" | grep -E "$lab_log_bad|$lab_log_stall" | grep -vE "$lab_log_good" >"$lab_run/kernel_log.judged" || :
    log_exceptions "$1" >"$lab_run/kernel_log.exceptions"
    while IFS= read -r exception; do
        expression=${exception% — *}
        expression=${expression#may }
        [ "$exception" != "${exception#may }" ] || grep -qE -- "$expression" "$lab_run/kernel_log.judged" || fail "the kernel did not say what '# log: $expression' excepts"
        grep -vE -- "$expression" "$lab_run/kernel_log.judged" >"$lab_run/kernel_log.left" || :
        mv "$lab_run/kernel_log.left" "$lab_run/kernel_log.judged"
    done <"$lab_run/kernel_log.exceptions"
    grep -E "$lab_log_stall" "$lab_run/kernel_log.judged" | head -n 3 | sed 's/^/LAB-STALL: /' || :
    grep -vE "$lab_log_stall" "$lab_run/kernel_log.judged" >"$lab_run/kernel_log.left" || return 0
    # With what it said before: that is often the reason.
    grep -n -F -f "$lab_run/kernel_log.left" "$lab_run/kernel_log" | head -n 3 | while IFS=: read -r line _; do
        echo "    the kernel's log:" && sed "$((line > 12 ? line - 12 : 1)),$((line + 3))!d; s/^/        /" "$lab_run/kernel_log"
    done
    fail "the kernel complained: $(head -n 5 "$lab_run/kernel_log.left")"
}
