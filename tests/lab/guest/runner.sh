# Runs one scenario and ends the virtual machine with its verdict.
. /lab/lib.sh
trap 'verdict $?' EXIT
verdict() {
    trap - EXIT
    [ "$1" = 0 ] || fail "the scenario stopped with exit status $1 before its end"
    judge_kernel_log "$lab_scenario_file"
    if [ -e "$lab_run/failed" ]; then
        # What the kernel said is often the reason.
        dmesg | sed '1,/Run .init as init/d' | tail -n 30
        lab-finish failed
    fi
    lab-finish passed
}
host_facts >"$lab_run/host"
begin_kernel_log
echo LAB-BEGINS
lab_scenario_file=/lab/scenarios/$1.sh
. "$lab_scenario_file"
