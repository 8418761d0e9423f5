# Virtual machines of Incus, or of LXD (use_lxd), for scenarios with `# incus: yes`: Debian's daemon, asked by its socket. Sourced by those.
#
# What runs in the VM is programs/firmware.cpp, which is told what to do and heard as one that vm.sh starts (vm_do, vm_says), on its second
# serial port; the first is Incus' console.
. /lab/vm.sh
unalias -a

lab_daemon=/var/lib/incus/unix.socket

# incus_api METHOD PATH [JSON]   prints the answer; its first line and headers are in incus.headers
incus_api() {
    curl -sS --unix-socket "$lab_daemon" -D "$lab_run/incus.headers" -X "$1" "http://incus$2" ${3:+--data-binary "$3"}
}
# text_of KEY   the first value of that name in what is on standard input, if it is a text
text_of() { grep -o "\"$1\":\"[^\"]*\"" | head -n 1 | cut -d '"' -f 4; }

# LXD of the same disk, in the place of Incus.
use_lxd() {
    systemctl stop incus.socket incus.service
    lab_daemon=/var/lib/lxd/unix.socket
    incus_api GET /1.0 >/dev/null
    incus_do POST /1.0/storage-pools '{"name": "default", "driver": "dir"}' || fail "LXD gets no storage: $incus_error"
}

# incus_do METHOD PATH [JSON]   until the operation that it begins has ended. False if it has failed: why is in incus_error.
incus_do() {
    local operation
    incus_api "$@" >"$lab_run/incus.answer"
    operation=$(text_of operation <"$lab_run/incus.answer")
    [ -z "$operation" ] || incus_api GET "$operation/wait" >"$lab_run/incus.answer"
    # An operation that failed is one whose "err" is set, or an answer that is an error itself.
    incus_error=$(text_of error <"$lab_run/incus.answer")$(text_of err <"$lab_run/incus.answer")
    [ -z "$incus_error" ]
}

# incus_vm NAME DEVICES   makes one; DEVICES is what comes into the object "devices"
incus_vm() {
    rm -f "$vm_directory/$1".*
    mkfifo "$vm_directory/$1.in" "$vm_directory/$1.out"
    # The log: what is written to the pipe while nobody reads it would be there no longer when its QEMU has ended.
    incus_do POST /1.0/instances "{
        \"name\": \"$1\", \"type\": \"virtual-machine\", \"source\": {\"type\": \"none\"},
        \"config\": {\"limits.memory\": \"64MiB\", \"security.secureboot\": \"false\", \"raw.qemu\":
            \"-bios /lab/firmware.bin -chardev pipe,id=lab,path=$vm_directory/$1,logfile=$vm_directory/$1.said,logappend=on -serial chardev:lab\"},
        \"devices\": {\"root\": {\"type\": \"disk\", \"pool\": \"default\", \"path\": \"/\", \"size\": \"4MiB\"}, $2}}" ||
        { fail "VM '$1' cannot be made: $incus_error"; return 1; }
}
incus_start() {
    local began
    began=$(uptime_ms)
    incus_do PUT "/1.0/instances/$1/state" '{"action": "start"}' || return 1
    say "VM '$1' has started after $(($(uptime_ms) - began)) ms"
}
incus_stop() { incus_do PUT "/1.0/instances/$1/state" '{"action": "stop", "force": true}'; }

# expect_incus_status NAME STATUS
expect_incus_status() { expect_equal "status of VM '$1'" "$2" "$(incus_api GET "/1.0/instances/$1" | grep -o '"status":"[^"]*","status_code":10.,"last' | cut -d '"' -f 4)"; }

lab_words="$lab_words incus_vm expect_incus_status"
tell_lines
